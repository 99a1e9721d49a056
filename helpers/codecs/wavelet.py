"""A wavelet codec in its plainest modern form: transform, quantise, code with contexts.

Coiflets (Daubechies 1993) are orthogonal: an error in a coefficient is exactly as large in
the image, so one quantisation step for all bands is the right choice at any rate.
Payload: wavelet (u8), levels (u8), step (u16, logarithmic), mean grey level (2 bytes), then
the range-coded bands, coarse to fine.
"""

import warnings

import numpy as np
import pywt

from helpers.codecs.bands import CONTEXTS, code_band
from helpers.codecs.base import ImageCodec, to_pixels
from helpers.codecs.budget import check_length, payload_budget
from helpers.codecs.container import Header
from helpers.codecs.rangecoder import (
    LIMIT,
    PENDING,
    POSITION,
    ROOM,
    STOPPED,
    as_buffer,
    finish,
    new_contexts,
    start_decoder,
    start_encoder,
    with_room,
)
from helpers.errors import BitstreamError

WAVELETS = ("coif1", "coif2", "coif3", "coif4", "coif5")
_SIDE = 6  # bytes of payload before the bands
_STEPS = 2**16  # code of a step: 2 ** (code / 2048 - 8), from 1/256 to 16 million
_UP = 0.7  # a magnitude of n steps and this much more counts as n + 1: zeros are cheap
_SHIFT = 0.14  # where in [n - 1 + _UP, n + _UP) a decoded magnitude lies, counted from n
_MAX_LEVELS = 6
_NO_PARENT = np.zeros((0, 0), np.int32)


class WaveletCodec(ImageCodec):
    """Coiflet transform, uniform dead-zone quantiser, adaptive range coder.

    Parameters
    ----------
    step : float, optional
        Quantisation step in grey levels, above 0; 1 when neither it nor `bpp` is given.
    bpp : float, optional
        Largest size of the whole stream in bits per pixel: the finest step that fits is found
        by bisection.
    wavelet : {"coif1", ..., "coif5"}
    levels : int, optional
        Levels of the transform, 0 to 6; as many as the image allows when omitted.

    Raises
    ------
    ValueError
        If a parameter is outside its range, or both `step` and `bpp` are given.

    Examples
    --------
    >>> image = np.add.outer(np.arange(32), np.arange(32)).astype(np.uint8)
    >>> codec = WaveletCodec(step=2)
    >>> int(np.abs(codec.decode(codec.encode(image)).astype(int) - image).max()) <= 4
    True
    """

    codec_id = "wavelet"

    def __init__(
        self,
        step: float | None = None,
        bpp: float | None = None,
        wavelet: str = "coif3",
        levels: int | None = None,
    ):
        if step is not None and bpp is not None:
            raise ValueError("The wavelet codec takes one of step= and bpp=, not both.")
        if any(value is not None and not 0 < value < np.inf for value in (step, bpp)):
            raise ValueError("step= and bpp= of the wavelet codec must be above 0 and finite.")
        if wavelet not in WAVELETS:
            raise ValueError(f"There is no wavelet '{wavelet}' here; take one of {WAVELETS}.")
        if levels is not None and levels not in range(_MAX_LEVELS + 1):
            raise ValueError(f"levels= must be a whole number from 0 to {_MAX_LEVELS}.")
        self.step = step
        self.bpp = bpp
        self.wavelet = wavelet
        self.levels = None if levels is None else int(levels)

    def compress(self, image: np.ndarray) -> bytes:
        """Code an image; see `ImageCodec.compress`."""
        budget = payload_budget(self.codec_id, image, bpp=self.bpp, least=_SIDE)
        levels = _default_levels(image.shape) if self.levels is None else self.levels
        mean = int(np.rint(image.mean()))
        bands = _analyse(image.astype(np.float64) - mean, self.wavelet, levels)
        side = bytes([WAVELETS.index(self.wavelet), levels])
        side_mean = (mean & 0xFFFF).to_bytes(2, "little")

        def at(code: int) -> bytes | None:
            """Payload with a step, None where it exceeds the budget."""
            quantised = [_quantise(band, _step(code)) for band in bands]
            coded = _write(quantised, None if budget is None else budget - _SIDE)
            return None if coded is None else side + code.to_bytes(2, "little") + side_mean + coded

        # No step is so fine that a coefficient would not fit the code of `bands`, and beyond
        # the largest coefficient a coarser one changes nothing.
        largest = max(1.0, *(float(np.abs(band).max()) for band in bands))
        finest = max(_step_code(largest) - 2048 * 23 + 1, 0)
        coarsest = min(_step_code(largest) + 2049, _STEPS - 1)
        if budget is None:
            return at(min(max(_step_code(self.step or 1), finest), _STEPS - 1))
        best = None
        while finest <= coarsest:
            middle = (finest + coarsest) // 2
            payload = at(middle)
            if payload is None:
                finest = middle + 1
            else:
                best, coarsest = payload, middle - 1
                if len(best) >= budget - budget // 400:  # a finer step gains 0.01 dB at most
                    break
        if best is None:
            raise ValueError(
                f"{self.bpp} bits per pixel are too few for this image, even all its "
                "coefficients coded as zero take more; ask for a higher rate."
            )
        return best

    def expand(self, payload: bytes, header: Header) -> np.ndarray:
        """Decode a payload; see `ImageCodec.expand`."""
        if len(payload) < _SIDE or payload[0] >= len(WAVELETS) or payload[1] > _MAX_LEVELS:
            raise BitstreamError("The wavelet payload names a transform that does not exist.")
        check_length(payload, header)
        wavelet, levels = WAVELETS[payload[0]], payload[1]
        step = _step(int.from_bytes(payload[2:4], "little"))
        mean = int(np.frombuffer(payload[4:6], "<i2" if header.dtype.kind == "i" else "<u2")[0])
        quantised = _read(payload[_SIDE:], _band_shapes(header.shape, levels))
        bands = [_dequantise(band, step) for band in quantised]
        image = _synthesise(bands, wavelet, header.shape) + mean
        return to_pixels(image, header.dtype)


def _step(code: int) -> float:
    return 2.0 ** (code / 2048 - 8)


def _step_code(step: float) -> int:
    return round(2048 * (np.log2(step) + 8))


def _quantise(band: np.ndarray, step: float) -> np.ndarray:
    magnitude = np.floor(np.abs(band) / step + (1 - _UP))
    return np.copysign(magnitude, band).astype(np.int32)


def _dequantise(band: np.ndarray, step: float) -> np.ndarray:
    return (band + _SHIFT * np.sign(band)) * step


def _default_levels(shape: tuple[int, int]) -> int:
    return min(max(min(shape).bit_length() - 3, 0), _MAX_LEVELS)


def _band_shapes(shape: tuple[int, int], levels: int) -> list[tuple[int, int]]:
    """Shapes of the low-pass band and then of three bands a level, coarse to fine."""
    shapes = [tuple(-(-side >> level) for side in shape) for level in range(1, levels + 1)]
    return [shapes[-1] if levels else shape] + [size for size in reversed(shapes) for _ in "HVD"]


def _analyse(image: np.ndarray, wavelet: str, levels: int) -> list[np.ndarray]:
    with warnings.catch_warnings():
        # PyWavelets warns where the filter is longer than a band; wrapping around is meant.
        warnings.simplefilter("ignore", UserWarning)
        low, *details = pywt.wavedec2(image, wavelet, "periodization", level=levels)
    return [low, *(band for level in details for band in level)]


def _synthesise(bands: list[np.ndarray], wavelet: str, shape: tuple[int, int]) -> np.ndarray:
    low, details = bands[0], bands[1:]
    for start in range(0, len(details), 3):
        height, width = details[start].shape
        level = low[:height, :width], tuple(details[start : start + 3])
        low = pywt.idwt2(level, wavelet, "periodization")
    return low[: shape[0], : shape[1]]


def _code(coder: np.ndarray, data: np.ndarray, bands: list[np.ndarray]) -> np.ndarray:
    """Write or read all bands; each has the contexts of its kind: low-pass, H, V or D."""
    contexts = new_contexts(4 * CONTEXTS)
    for k, band in enumerate(bands):
        kind = 0 if k == 0 else 1 + (k - 1) % 3
        parent = bands[k - 3] if k > 3 else _NO_PARENT
        data = code_band(coder, data, contexts, kind * CONTEXTS, band, parent)
    return data


def _write(bands: list[np.ndarray], limit: int | None = None) -> bytes | None:
    """Range-coded bands; None where they take more than `limit` bytes."""
    coder = start_encoder()
    coder[LIMIT] = limit or 0
    data = _code(coder, np.zeros(sum(band.size for band in bands) + ROOM, np.uint8), bands)
    if data.size - coder[POSITION] < ROOM + coder[PENDING]:
        data = with_room(data)
    size = finish(coder, data)
    if limit is not None and (coder[STOPPED] or size > limit):
        return None
    return data[:size].tobytes()


def _read(payload: bytes, shapes: list[tuple[int, int]]) -> list[np.ndarray]:
    data = as_buffer(payload)
    coder, bands = start_decoder(data), [np.zeros(shape, np.int32) for shape in shapes]
    _code(coder, data, bands)
    if coder[STOPPED]:
        raise BitstreamError("The wavelet payload ends before its last band.")
    return bands
