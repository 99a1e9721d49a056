"""Codecs at a given size or a given quality, so that families can be compared like with like.

Every family has one parameter that trades bytes for quality, each in its own units. A
*ladder* puts its values on numbered rungs, from coarse to fine; bisection over the rungs
finds the finest that fits a size, or the coarsest that reaches a PSNR, in about ten trials.

Taught in the section "Rate–distortion curves" of *Measuring compression*.
"""

from collections.abc import Callable
from typing import ClassVar

import numpy as np
from numcodecs.abc import Codec
from numcodecs.registry import register_codec

from helpers.codecs.catalogue import find, get
from helpers.codecs.container import check_image
from helpers.codecs.spiht import SpihtCodec, truncate

# Rungs and the option of each; codecs that can be lossless have that as one more, the last.
_LADDERS: dict[str, tuple[int, Callable[[int], dict]]] = {
    "jpeg": (100, lambda rung: {"level": 1 + rung}),
    "jpeg2000": (2200, lambda rung: {"level": 10 + rung / 20}),
    "jpegls": (127, lambda rung: {"level": 127 - rung}),
    "jpegxl": (180, lambda rung: {"distance": 25 * 2 ** (-rung / 16)}),
    "avif": (100, lambda rung: {"level": rung}),
    "wavelet": (768, lambda rung: {"step": 2 ** (16 - rung / 32)}),
    "hyper": (64, lambda rung: {"level": rung}),
    "hyper-msssim": (64, lambda rung: {"level": rung}),
}
_OWN_BUDGET = ("spiht", "wavelet")  # these take bpp= or size= themselves


def rungs(name: str, count: int) -> tuple[dict, ...]:
    """Options of a family spread evenly over its ladder, from coarse to fine.

    Parameters
    ----------
    name : str
        Codec family.
    count : int
        How many, 2 at least.

    Returns
    -------
    tuple of dict
        Empty where the family has no ladder.
    """
    if name not in _LADDERS:
        return ()
    top, options = _LADDERS[name]
    return tuple(options(round(k * (top - 1) / (count - 1))) for k in range(count))


class _Aimed(Codec):
    """A codec family aimed at a target; decodes every stream of that family."""

    def __init__(self, name: str, **options):
        if name not in _LADDERS and name not in _OWN_BUDGET:
            find(name)
            raise ValueError(
                f"'{name}' has no parameter that trades bytes for quality; choose one of "
                f"{', '.join(dict.fromkeys([*_LADDERS, *_OWN_BUDGET]))}."
            )
        taken = {"bpp", "size", *_LADDERS.get(name, (1, lambda rung: {}))[1](0)} & options.keys()
        if taken:
            raise ValueError(
                f"{' and '.join(sorted(taken))}= of '{name}' is what the target chooses; leave "
                "it out, or build the codec without a target."
            )
        self.name = name
        self.options = options

    def get_config(self) -> dict:
        """Configuration from which `from_config` builds the same codec."""
        config = {key: value for key, value in vars(self).items() if key != "options"}
        return {"id": self.codec_id, **config, **self.options}

    def decode(self, buf: bytes, out: np.ndarray | None = None) -> np.ndarray:
        """Decode a stream; see the family's own ``decode``."""
        chosen = {"model": self.options["model"]} if "model" in self.options else {}
        return get(self.name, **chosen).decode(buf, out)

    def _top(self, image: np.ndarray) -> bytes | None:
        """Lossless stream, where the family has one."""
        entry = find(self.name)
        return get(self.name, **self.options).encode(image) if entry.lossless else None

    def _at(self, image: np.ndarray, rung: int) -> bytes:
        return get(self.name, **_LADDERS[self.name][1](rung), **self.options).encode(image)


class AtRate(_Aimed):
    """The best stream of a family that takes at most a number of bits per pixel.

    Parameters
    ----------
    name : str
        Codec family.
    bpp : float
        Largest size of the whole stream, header included, in bits per pixel.
    spare : int
        Bytes to leave free, for an envelope to come.
    or_least : bool
        Where no stream is that small, give the smallest that was tried, instead of an error;
        the coarsest setting is always among them.
    **options
        Passed on to the family.
    """

    codec_id: ClassVar[str] = "at-rate"

    def __init__(self, name: str, bpp: float, spare: int = 0, or_least: bool = False, **options):
        super().__init__(name, **options)
        if not 0 < bpp < np.inf:
            raise ValueError(f"A rate must be above 0 bits per pixel and finite, not {bpp}.")
        self.bpp = bpp
        self.spare = spare
        self.or_least = or_least

    def encode(self, buf: np.ndarray) -> bytes:
        """Code an image as well as the rate allows.

        Parameters
        ----------
        buf : (H, W) integer array

        Returns
        -------
        bytes
            At most ``bpp * H * W / 8 - spare`` of them, but for ``or_least``.

        Raises
        ------
        ValueError
            If the family has no stream that small, unless ``or_least``.
        """
        image = check_image(buf)
        limit = int(self.bpp * image.size / 8) - self.spare
        if self.name in _OWN_BUDGET:
            return self._own_budget(image, limit)
        top = self._top(image)
        if top is not None and len(top) <= limit:
            return top
        low, high, best, least = 0, _LADDERS[self.name][0] - 1, None, top
        while low <= high:
            middle = (low + high) // 2
            stream = self._at(image, middle)
            if len(stream) <= limit:
                best, low = stream, middle + 1
            else:
                high = middle - 1
                least = stream if least is None else min(least, stream, key=len)
        if best is None and not self.or_least:
            raise _too_small(self.name, limit)
        return best or least

    def _own_budget(self, image: np.ndarray, limit: int) -> bytes:
        """Stream of a family that keeps to a budget by itself."""
        try:
            if limit < 1:
                raise _too_small(self.name, limit)
            return get(self.name, bpp=8 * (limit + 0.5) / image.size, **self.options).encode(image)
        except ValueError:
            if not self.or_least:
                raise
        if self.name == "spiht":
            return _shortest(SpihtCodec(**self.options).encode(image), lambda stream: True)
        return get(self.name, step=2**24, **self.options).encode(image)  # all is 0 at this step


class AtPsnr(_Aimed):
    """The smallest stream of a family that reaches a PSNR.

    Parameters
    ----------
    name : str
        Codec family.
    psnr : float
        Peak signal-to-noise ratio to reach, in dB.
    peak : float, optional
        The signal's peak; the largest value of the image's pixel type when omitted.
    **options
        Passed on to the family.
    """

    codec_id: ClassVar[str] = "at-psnr"

    def __init__(self, name: str, psnr: float, peak: float | None = None, **options):
        super().__init__(name, **options)
        if not psnr >= 0 or not (peak is None or peak > 0):
            raise ValueError(
                f"A PSNR to reach is a number of decibels from 0 on, its peak above 0; not {psnr} "
                f"with a peak of {peak}."
            )
        self.psnr = psnr
        self.peak = peak

    def encode(self, buf: np.ndarray) -> bytes:
        """Code an image in as few bytes as the quality allows.

        Parameters
        ----------
        buf : (H, W) integer array

        Returns
        -------
        bytes

        Raises
        ------
        ValueError
            If the family cannot reach the quality.
        """
        image = check_image(buf)
        peak = self.peak or 2 ** (8 * image.dtype.itemsize) - 1
        largest_mse = peak**2 * 10 ** (-self.psnr / 10)

        def reaches(stream: bytes) -> bool:
            error = self.decode(stream).astype(np.float64) - image
            return float(np.mean(error**2)) <= largest_mse

        if self.name == "spiht":
            best = SpihtCodec(**self.options).encode(image)
            if not reaches(best):
                raise ValueError(f"'spiht' does not reach {self.psnr} dB on this image.")
            return _shortest(best, reaches)
        best, low, high = self._top(image), 0, _LADDERS[self.name][0] - 1
        while low <= high:
            middle = (low + high) // 2
            stream = self._at(image, middle)
            if reaches(stream):
                best, high = stream if best is None else min(best, stream, key=len), middle - 1
            else:
                low = middle + 1
        if best is None:
            raise ValueError(f"'{self.name}' does not reach {self.psnr} dB on this image.")
        return best


def at_rate(name: str, bpp: float, **options) -> AtRate:
    """Codec whose streams are as good as `bpp` bits per pixel allow; see `AtRate`."""
    return AtRate(name, bpp, **options)


def at_psnr(name: str, psnr: float, **options) -> AtPsnr:
    """Codec whose streams are as small as a PSNR of `psnr` dB allows; see `AtPsnr`."""
    return AtPsnr(name, psnr, **options)


def _shortest(stream: bytes, reaches: Callable[[bytes], bool]) -> bytes:
    """Shortest prefix of an embedded stream that is good enough."""
    low, high = 0, len(stream)
    while low < high:
        middle = (low + high) // 2
        try:
            enough = reaches(truncate(stream, middle))
        except ValueError:  # not even the header fits
            enough = False
        if enough:
            high = middle
        else:
            low = middle + 1
    return truncate(stream, high)


def _too_small(name: str, limit: int) -> ValueError:
    return ValueError(
        f"'{name}' has no stream of at most {max(limit, 0)} bytes for this image; "
        "ask for a higher rate."
    )


register_codec(AtRate)
register_codec(AtPsnr)
