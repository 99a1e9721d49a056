"""The codec of Shanmukh (2022): an auto-encoder's latent, and the delta it leaves.

========= ======== ======================================================================
bytes     type     field of the payload
========= ======== ======================================================================
1         u8       coder of the delta (low four bits), 16: latent in 8 bits, 32: float8 delta
4 L       f32      latent of each tile, or
1 + L     u8, i8   exponent of two and latent in 8 bits; a second latent for two-stage models
rest      --       the delta of the whole image, by that coder
========= ======== ======================================================================

The image is cut into tiles of 256 x 256, the last ones filled up by repeating the edge. The
networks run in whole numbers (`helpers.models.integer`), so that the reconstruction, and with
it the decoded image, is the same on every machine, and needs neither Keras nor a GPU.
"""

from collections.abc import Iterator
from functools import lru_cache
from typing import ClassVar

import numpy as np

from helpers import weights
from helpers.codecs import residual
from helpers.codecs.base import ImageCodec
from helpers.codecs.container import Header
from helpers.codecs.latents import to_int8
from helpers.codecs.threads import few_threads
from helpers.errors import BitstreamError, DataError
from helpers.models.integer import FRACTION, LIMIT, IntegerAutoencoder

SIDE = 256
MAX_PIXELS = 2**24  # padding included; a tile takes a tenth of a second
_LATENT8, _FLOAT8 = 16, 32
_STAGES = ("stage1/", "stage2/")


class DeltaCodec(ImageCodec):
    """Latent and delta of an auto-encoder; 8-bit images of any size.

    Parameters
    ----------
    model : str
        Name of the weights: ``delta-cnn1``, ``delta-cnn2``, ``delta-cnn3`` (two stages), or
        weights trained on this machine, such as ``delta-dense``.
    coder : str
        What codes the delta: one of `helpers.codecs.residual.CODERS`.
    latent : {"int8", "float32"}
        Numbers of the latent as stored: 8 bits each and one exponent, or floats (the paper).
    delta : {"exact", "float8"}
        "exact": whole grey levels, modulo 256. "float8": the difference of normalised floats
        mapped from -1..1 to 8 bits, as in the paper's other convention; its step is two grey
        levels, so the image comes back with errors of 1, and the codec is not lossless.

    Notes
    -----
    Taught in the chapter *Lossless by auto-encoder and delta*.
    """

    codec_id: ClassVar[str] = "ae-delta"

    def __init__(
        self,
        model: str = "delta-cnn1",
        coder: str = "dct",
        latent: str = "int8",
        delta: str = "exact",
    ):
        if latent not in ("int8", "float32") or delta not in ("exact", "float8"):
            raise ValueError("latent is 'int8' or 'float32', delta is 'exact' or 'float8'.")
        if coder not in residual.CODERS:
            raise ValueError(f"coder is one of {', '.join(residual.CODERS)}, not '{coder}'.")
        self.model, self.coder, self.latent, self.delta = model, coder, latent, delta

    @property
    def lossless(self) -> bool:
        """Whether every pixel comes back."""
        return self.delta == "exact"

    def compress(self, image: np.ndarray) -> bytes:
        """Code a checked image; see the table at the top of this file."""
        if image.dtype != np.uint8:
            from helpers.codecs.catalogue import fitting

            raise ValueError(
                f"The auto-encoders were trained on 8-bit films, this image is {image.dtype}; "
                f"window it to 8 bits, or use one of {', '.join(fitting(image.dtype))}."
            )
        if _tile_count(image.shape) * SIDE**2 > MAX_PIXELS:
            raise ValueError(
                f"The image has more than {MAX_PIXELS} pixels once its sides are filled up to "
                f"multiples of {SIDE}; cut it into several."
            )
        return self.payload(image, *self.predict(image))

    def payload(self, image: np.ndarray, latents: bytes, prediction: np.ndarray) -> bytes:
        """Payload of an image whose prediction is known, to try several coders on one.

        Parameters
        ----------
        image : (H, W) uint8
        latents : bytes
        prediction : (H, W) integer array
            The last two from `predict` of a codec with the same model and latent.
        """
        flags = list(residual.CODERS).index(self.coder)
        flags |= _LATENT8 * (self.latent == "int8") | _FLOAT8 * (self.delta == "float8")
        rest = residual.encode(residual.difference(image, prediction, self.delta), self.coder)
        return bytes([flags]) + latents + rest

    def predict(self, image: np.ndarray) -> tuple[bytes, np.ndarray]:
        """Latents of an image and what they decode to.

        Parameters
        ----------
        image : (H, W) uint8

        Returns
        -------
        latents : bytes
            As they stand in the stream.
        prediction : (H, W) int64
            The reconstruction, whose delta is to be coded. One network's lies in 0..255; a
            second stage may leave that range.
        """
        stages = _networks(self.model, weights.sha256(self.model))
        stored, tiles = [], []
        with few_threads():
            for tile in _tiles(image):
                guess = np.zeros((SIDE, SIDE), np.int64)
                for number, network in enumerate(stages):
                    offset = 255 * (number > 0)
                    code = _store(network.encode(tile - guess + offset), self.latent)
                    stored.append(code)
                    guess = guess + network.decode(_restore(code, self.latent)) - offset
                tiles.append(guess)
        return b"".join(stored), _join(tiles, image.shape)

    def expand(self, payload: bytes, header: Header) -> np.ndarray:
        """Decode a payload of any of this codec's configurations."""
        if header.dtype != np.uint8:
            raise BitstreamError("This codec writes 8-bit images only; copy the stream again.")
        flags, at = payload[0], 1
        coders = list(residual.CODERS)
        if flags >= 2 * _FLOAT8 or flags % _LATENT8 >= len(coders):
            raise BitstreamError("The payload names a coder this release does not know.")
        count = _tile_count(header.shape)
        if count * SIDE**2 > MAX_PIXELS:
            raise BitstreamError(
                f"The header asks for more than {MAX_PIXELS} pixels, padding included; this codec "
                "writes no such stream, copy it again."
            )
        latent = "int8" if flags & _LATENT8 else "float32"
        tiles = []
        stages = _networks(self.model, weights.sha256(self.model))
        sizes = [_stored_size(network.latent, latent) for network in stages]
        if len(payload) < 1 + count * sum(sizes):
            raise BitstreamError("The payload ends inside its latents; copy the stream again.")
        with few_threads():
            for _ in range(count):
                guess = np.zeros((SIDE, SIDE), np.int64)
                for number, (network, size) in enumerate(zip(stages, sizes, strict=True)):
                    code, at = payload[at : at + size], at + size
                    guess = guess + network.decode(_restore(code, latent)) - 255 * (number > 0)
                tiles.append(guess)
        rest = residual.decode(payload[at:], header.shape, coders[flags % _LATENT8])
        convention = "float8" if flags & _FLOAT8 else "exact"
        return residual.undo_difference(rest, _join(tiles, header.shape), convention)


def reconstruct(model: str, films: np.ndarray, latent: str = "float32") -> np.ndarray:
    """What the latents alone decode to, for a stack of films.

    Parameters
    ----------
    model : str
    films : (N, H, W) uint8
    latent : {"float32", "int8"}

    Returns
    -------
    (N, H, W) int16
    """
    codec = DeltaCodec(model, latent=latent)
    return np.stack([codec.predict(film)[1] for film in films]).astype(np.int16)


def _store(latent: np.ndarray, kind: str) -> bytes:
    """Bytes of one latent, given in units of 2**-12."""
    if kind == "float32":
        return np.ldexp(latent, -FRACTION).astype("<f4").tobytes()
    exponent, levels = to_int8(latent, lowest=0)
    return bytes([exponent]) + levels.tobytes()


def _restore(code: bytes, kind: str) -> np.ndarray:
    """Latent in units of 2**-12, whole numbers whatever the bytes say."""
    if kind == "float32":
        floats = np.frombuffer(code, "<f4")
        if not np.isfinite(floats).all():
            raise BitstreamError("The latent holds numbers that are not finite.")
        values = np.ldexp(floats.astype(np.float64), FRACTION)
        return np.clip(np.rint(values), -LIMIT, LIMIT)
    return np.ldexp(np.frombuffer(code, np.int8, offset=1).astype(np.float64), min(code[0], 24))


def _stored_size(length: int, kind: str) -> int:
    return 4 * length if kind == "float32" else 1 + length


def _tile_count(shape: tuple[int, int]) -> int:
    return -(-shape[0] // SIDE) * -(-shape[1] // SIDE)


def _tiles(image: np.ndarray) -> Iterator[np.ndarray]:
    """Tiles of 256 x 256 in reading order, as int64, filled up by repeating the edge."""
    height, width = image.shape
    image = np.pad(image, ((0, -height % SIDE), (0, -width % SIDE)), mode="edge").astype(np.int64)
    for row in range(0, height, SIDE):
        for column in range(0, width, SIDE):
            yield image[row : row + SIDE, column : column + SIDE]


def _join(tiles: list[np.ndarray], shape: tuple[int, int]) -> np.ndarray:
    """Put tiles together again and cut off what was filled up."""
    across = -(-shape[1] // SIDE)
    rows = [np.hstack(tiles[at : at + across]) for at in range(0, len(tiles), across)]
    return np.vstack(rows)[: shape[0], : shape[1]]


@lru_cache(maxsize=4)
def _networks(model: str, digest: bytes) -> list[IntegerAutoencoder]:
    """Networks of a weights file, one or two; anew where the file changed."""
    arrays = weights.arrays(model)
    parts = [
        {key.removeprefix(stage): values for key, values in arrays.items() if key.startswith(stage)}
        for stage in _STAGES
    ]
    try:
        if not any(parts):
            return [IntegerAutoencoder(arrays)]
        return [IntegerAutoencoder(parts[0]), IntegerAutoencoder(parts[1], levels=510)]
    except (KeyError, IndexError, ValueError) as error:
        raise DataError(
            f"The weights '{model}' are those of another network; choose others with model=."
        ) from error
