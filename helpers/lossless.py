"""Proof that a codec is lossless: another process decodes, and the fingerprints agree.

Taught in the section "Lossless, proven" of *Measuring compression*. Run as a program
(``python -m helpers.lossless``) this module is that other process.
"""

import hashlib
import json
import subprocess
import sys

import numpy as np
from numcodecs.abc import Codec


def proves_lossless(codec: Codec, image: np.ndarray) -> bool:
    """Decode the bytes in another process and compare the SHA-256 of the pixels.

    The other process gets nothing but the stream and the codec's config, so nothing the
    encoder kept in memory can help it.

    Parameters
    ----------
    codec : numcodecs.abc.Codec
        Its ``get_config()`` must be enough to make it again.
    image : (H, W) uint8, uint16 or int16

    Returns
    -------
    bool
        True where every pixel, the shape and the dtype came back.

    Raises
    ------
    ValueError
        If the other process could not decode the stream.
    """
    stream = bytes(codec.encode(image))
    config = json.dumps(codec.get_config()).encode()
    done = subprocess.run(
        [sys.executable, "-m", "helpers.lossless"],
        input=len(config).to_bytes(4, "little") + config + stream,
        capture_output=True,
        check=False,
    )
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise ValueError(f"The stream did not decode in another process: {' '.join(reason)}")
    return done.stdout.decode().strip() == pixel_hash(image)


def pixel_hash(image: np.ndarray) -> str:
    """SHA-256 of an image's shape, dtype and little-endian pixels.

    Parameters
    ----------
    image : (H, W) integer array

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    pixels = np.ascontiguousarray(image, image.dtype.newbyteorder("<"))
    head = f"{image.shape}|{image.dtype.name}|".encode()
    return hashlib.sha256(head + pixels.tobytes()).hexdigest()


def _decode_here() -> str:
    """Decode what stands on standard input: 4 bytes of length, a JSON config, a stream."""
    from numcodecs.registry import get_codec

    import helpers.codecs  # noqa: F401  (registers the codecs of this book)

    data = sys.stdin.buffer.read()
    start = 4 + int.from_bytes(data[:4], "little")
    config = json.loads(data[4:start])
    if config["id"].startswith("imagecodecs_"):
        from imagecodecs.numcodecs import register_codecs

        register_codecs(config["id"], verbose=False)
    return pixel_hash(np.asarray(get_codec(config).decode(data[start:])))


if __name__ == "__main__":
    print(_decode_here())
