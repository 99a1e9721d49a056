"""What every codec of this book is: two verbs, a config, and an honest stream."""

from abc import ABC, abstractmethod
from typing import ClassVar

import numpy as np
from numcodecs.abc import Codec

from helpers import weights
from helpers.codecs.container import Header, check_decoded, check_image, pack, pixel_crc, unpack
from helpers.errors import BitstreamError, DataError


class ImageCodec(Codec, ABC):
    """A codec for one grey image, in the interface of :class:`numcodecs.abc.Codec`.

    A subclass names its ``codec_id``, says whether it is ``lossless``, and writes
    `compress` and `expand`; the envelope, its checks and its errors come from here.
    """

    codec_id: ClassVar[str]
    lossless: ClassVar[bool] = False
    model: str = ""  # id of the network, for learned codecs

    @property
    def weights_hash(self) -> bytes:
        """First four bytes of the SHA-256 of the network's weights; none without a network."""
        return weights.sha256(self.model)[:4] if self.model else b""

    @abstractmethod
    def compress(self, image: np.ndarray) -> bytes:
        """Code a checked image into a payload.

        Parameters
        ----------
        image : (H, W) uint8, uint16 or int16, C-contiguous

        Returns
        -------
        bytes
        """

    @abstractmethod
    def expand(self, payload: bytes, header: Header) -> np.ndarray:
        """Decode a payload; any exception it raises is reported as a `BitstreamError`.

        Parameters
        ----------
        payload : bytes
        header : Header

        Returns
        -------
        (H, W) array of ``header.dtype``
        """

    def encode(self, buf: np.ndarray) -> bytes:
        """Code an image.

        Parameters
        ----------
        buf : (H, W) uint8, uint16 or int16

        Returns
        -------
        bytes
            The whole stream, header included.
        """
        image = check_image(buf)
        return self.wrap(image, self.compress(image))

    def wrap(self, image: np.ndarray, payload: bytes) -> bytes:
        """Put a payload of an image into this codec's envelope.

        Parameters
        ----------
        image : (H, W) uint8, uint16 or int16, C-contiguous
        payload : bytes
            From `compress`.

        Returns
        -------
        bytes
            The whole stream.
        """
        header = Header(
            codec=self.codec_id,
            dtype=image.dtype,
            shape=image.shape,
            bit_depth=8 * image.dtype.itemsize,
            model=self.model,
            weights=self.weights_hash,
            pixel_crc=pixel_crc(image) if self.lossless else None,
        )
        return pack(header, payload)

    def decode(self, buf: bytes, out: np.ndarray | None = None) -> np.ndarray:
        """Decode a stream of this codec.

        Parameters
        ----------
        buf : bytes
            A stream that `encode` made.
        out : numpy.ndarray, optional
            Array to fill instead of a new one.

        Returns
        -------
        (H, W) array of the coded image's dtype

        Raises
        ------
        BitstreamError
            If the stream is truncated, altered, foreign, or made by other weights.
        """
        header, payload = unpack(buf, self.codec_id)
        if (header.model, header.weights) != (self.model, self.weights_hash[:4]):
            raise BitstreamError(
                f"The stream was made with the weights {header.model or 'of no model'} "
                f"{header.weights.hex()}, this codec holds {self.model or 'none'} "
                f"{self.weights_hash[:4].hex()}; load the weights named first."
            )
        try:
            image = self.expand(payload, header)
        except (BitstreamError, DataError):  # the latter: of the weights, not of the stream
            raise
        except Exception as error:
            raise BitstreamError(f"The payload cannot be decoded ({error}).") from error
        check_decoded(image, header)
        if out is not None:
            out[...] = image.reshape(out.shape)
            return out
        return image


def to_pixels(image: np.ndarray, dtype: np.dtype) -> np.ndarray:
    """Round a picture to pixels, the nearest that the type holds.

    Parameters
    ----------
    image : (H, W) float array
    dtype : numpy.dtype
        An integer type.

    Returns
    -------
    (H, W) array of that type
    """
    limits = np.iinfo(dtype)
    return np.clip(np.rint(image), limits.min, limits.max).astype(dtype)
