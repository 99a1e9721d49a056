"""The classical codecs: the ready classes of `imagecodecs.numcodecs`, made safe for grey images.

Each class adds only what a measurement needs: it refuses a pixel type the format would change
silently, keeps 1-pixel-wide images two-dimensional, and reports damage as `BitstreamError`.
Without a quality parameter a codec is lossless wherever its format can be.
"""

from numbers import Real
from typing import ClassVar

import imagecodecs
import imagecodecs.numcodecs as ready
import numpy as np

from helpers.codecs.container import check_image
from helpers.errors import BitstreamError

_HEADER = 4096  # more bytes than a format's header has
_END = b"\xff\xd9"  # of a JPEG-LS stream
_EIGHT, _UNSIGNED, _ALL = ("uint8",), ("uint8", "uint16"), ("uint8", "uint16", "int16")


class _Grey:
    """What every adapter shares; stands before a ready codec among the bases of a class."""

    dtypes: ClassVar[tuple[str, ...]]
    defaults: ClassVar[dict] = {"squeeze": False}  # numcodecs would flatten a 1-pixel side
    limits: ClassVar[dict[str, tuple[float, float]]] = {}  # the libraries clip without a word

    def __init__(self, **options):
        for name, (low, high) in self.limits.items():
            value = options.get(name)
            if value is None:
                continue
            if not isinstance(value, Real) or not low <= value <= high:
                raise ValueError(
                    f"{name}= of '{self.codec_id}' is a number from {low} to {high}, not {value!r}."
                )
        super().__init__(**{**self.defaults, **options})

    def encode(self, buf: np.ndarray) -> bytes:
        """Code an image.

        Parameters
        ----------
        buf : (H, W) array of one of ``dtypes``

        Returns
        -------
        bytes

        Raises
        ------
        ValueError
            If the format cannot hold the image's pixel type, it is no grey image, or the
            library does not take the codec's options.
        """
        image = check_image(buf)
        if image.dtype.name not in self.dtypes:
            from helpers.codecs.catalogue import fitting

            raise ValueError(
                f"'{self.codec_id}' holds {' and '.join(self.dtypes)} pixels, not "
                f"{image.dtype}; use one of {', '.join(fitting(image.dtype))}."
            )
        try:
            return bytes(self._encode(image))
        except Exception as error:
            raise ValueError(
                f"'{self.codec_id}' cannot code this image with its options ({error})."
            ) from error

    def decode(self, buf: bytes, out: np.ndarray | None = None) -> np.ndarray:
        """Decode a stream of this codec.

        Parameters
        ----------
        buf : bytes
        out : numpy.ndarray, optional
            Array to fill instead of a new one.

        Returns
        -------
        (H, W) array

        Raises
        ------
        BitstreamError
            If the format's decoder refuses the stream.
        """
        try:
            image = self._decode(bytes(buf))
        except Exception as error:
            raise BitstreamError(
                f"The '{self.codec_id}' decoder refuses the stream ({error}); it is truncated, "
                "altered or of another format."
            ) from error
        if image.ndim == 3:  # grey that a format without grey carries as equal colours
            image = np.ascontiguousarray(image[..., 0])
        if out is not None:
            out[...] = image.reshape(out.shape)
            return out
        return image

    def decode_as(self, stream: bytes, shape: tuple[int, int], dtype: np.dtype) -> np.ndarray:
        """Decode the stream of an image whose shape and pixel type are known, of a grey format.

        A stream of any other is refused from its first bytes, before there is room for it.

        Parameters
        ----------
        stream : bytes
        shape : tuple of int
        dtype : numpy.dtype

        Returns
        -------
        (H, W) array of `dtype`

        Raises
        ------
        ValueError, RuntimeError
            If the format's decoder refuses the stream.
        """
        return self._decode(stream, np.empty(shape, dtype))

    def _encode(self, image: np.ndarray) -> bytes:
        return super().encode(image)

    def _decode(self, stream: bytes, out: np.ndarray | None = None) -> np.ndarray:
        return super().decode(stream, out)


class Png(_Grey, ready.Png):
    """PNG, lossless: row filters and Deflate. ``level``: 0 to 9 (default, the smallest)."""

    codec_id = "png"
    dtypes = _UNSIGNED
    defaults: ClassVar = {**_Grey.defaults, "level": 9}
    limits: ClassVar = {"level": (0, 9)}


class Jpeg(_Grey, ready.Jpeg):
    """Baseline JPEG, lossy: 8x8 DCT and Huffman codes fitted to the image. ``level``: 1 to 100."""

    codec_id = "jpeg"
    dtypes = _EIGHT
    defaults: ClassVar = {**_Grey.defaults, "optimize": True, "level": 75}
    limits: ClassVar = {"level": (1, 100)}


class Jpeg2000(_Grey, ready.Jpeg2k):
    """JPEG 2000 codestream: 9/7 wavelet at a target PSNR ``level`` (dB), or lossless 5/3.

    OpenJPEG estimates the PSNR; on images a few pixels wide it can miss it by far, and of a
    constant image it would keep nothing, so that one is coded without loss.
    """

    codec_id = "jpeg2000"
    dtypes = _ALL
    limits: ClassVar = {"level": (0, 200)}

    def __init__(self, level: float | None = None, **options):
        # A raw codestream: the boxes of a .jp2 file would cost 85 bytes and say nothing new.
        options = {"codecformat": "j2k", "reversible": not level, **options}
        super().__init__(level=level, **options)
        self.level = level  # the ready class has cut it to whole decibels

    def _encode(self, image: np.ndarray) -> bytes:
        if self.level and image.min() == image.max():
            return Jpeg2000().encode(image)
        return super()._encode(image)


class Htj2k(_Grey, ready.Htj2k):
    """High-throughput JPEG 2000, lossless only: its lossy decoder turns white into black.

    Overshoot beyond the range wraps around instead of being clipped (seen in imagecodecs
    2026.3.6), which no measurement should meet.
    """

    codec_id = "htj2k"
    dtypes = _ALL
    defaults: ClassVar = {**_Grey.defaults, "reversible": True}

    def __init__(self, **options):
        if options.get("level") or options.get("reversible") is False:
            raise ValueError("HTJ2K is lossless here, without a level; use 'jpeg2000' for lossy.")
        super().__init__(**options)


class JpegLs(_Grey, ready.Jpegls):
    """JPEG-LS: prediction and Golomb codes. ``level``: largest pixel error, 0 is lossless.

    Above 127 the library writes streams of 8-bit images that it does not decode.
    """

    codec_id = "jpegls"
    dtypes = _UNSIGNED
    limits: ClassVar = {"level": (0, 127)}

    def _encode(self, image: np.ndarray) -> bytes:
        # the library's own buffer is too small for noise, which JPEG-LS makes larger
        room = 2 * image.nbytes + _HEADER
        return imagecodecs.jpegls_encode(image, level=self.level, out=room)

    def _decode(self, stream: bytes, out: np.ndarray | None = None) -> np.ndarray:
        # of a stream that is cut short the library reads zeros, billions of them, for seconds
        if not stream.rstrip(b"\0").endswith(_END):
            raise ValueError("its end is missing")
        return super()._decode(stream, out)


class JpegXl(_Grey, ready.Jpegxl):
    """JPEG XL: lossless, or lossy at a perceptual ``distance`` (0.01 to 25).

    ``effort="best"``, the lossless default, keeps the smallest of efforts 3, 7 and 9: on small
    images the highest effort does not always win.
    """

    codec_id = "jpegxl"
    dtypes = _UNSIGNED
    limits: ClassVar = {"distance": (0, 25)}
    efforts: ClassVar[tuple[int, ...]] = (3, 7, 9)

    def __init__(self, distance: float | None = None, effort: int | str | None = None, **options):
        effort = effort or (7 if distance else "best")
        super().__init__(
            **{"distance": distance, "effort": effort, "lossless": not distance, **options}
        )

    def _encode(self, image: np.ndarray) -> bytes:
        if self.effort != "best":
            return super()._encode(image)
        streams = (JpegXl(self.distance, effort).encode(image) for effort in self.efforts)
        return min(streams, key=len)


class Avif(_Grey, ready.Avif):
    """AVIF, the intra coding of AV1: ``level`` 0 to 99, or lossless.

    The library ignores the quality of a grey array, so lossy grey travels as three equal
    channels of which only the luma is kept. Above 8 bits it is silently inexact: refused.
    ``speed`` is 6 as in the reference encoder; 0 takes some 30 times as long and gains a few
    tenths of a decibel.
    """

    codec_id = "avif"
    dtypes = _EIGHT
    defaults: ClassVar = {**_Grey.defaults, "numthreads": 1, "speed": 6}
    limits: ClassVar = {"level": (0, 99)}

    def _encode(self, image: np.ndarray) -> bytes:
        if self.level is None:
            return super()._encode(image)
        lossy = ready.Avif(
            level=self.level, speed=self.speed, pixelformat="400", numthreads=1, squeeze=False
        )
        return lossy.encode(np.stack([image] * 3, axis=-1))


class WebP(_Grey, ready.Webp):
    """WebP, lossless only: its lossy mode squeezes grey into 16 to 235. Needs three channels."""

    codec_id = "webp"
    dtypes = _EIGHT
    defaults: ClassVar = {**_Grey.defaults, "lossless": True, "method": 6}

    def _encode(self, image: np.ndarray) -> bytes:
        return super()._encode(np.stack([image] * 3, axis=-1))
