"""Proof that a codec is lossless: another process decodes, and the fingerprints agree.

Taught in the section "Lossless, proven" of *Measuring compression*. Run as a program
(``python -m helpers.lossless``) this module is that other process.
"""

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Sequence

import numpy as np
from numcodecs.abc import Codec

THREAD_VARIABLES = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


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
    return bool(exact_elsewhere(codec, [image])[0])


def exact_elsewhere(
    codec: Codec,
    images: Sequence[np.ndarray],
    threads: int | None = None,
    streams: Sequence[bytes] | None = None,
) -> np.ndarray:
    """Say of each image whether another process decodes exactly its pixels.

    Parameters
    ----------
    codec : numcodecs.abc.Codec
        Its ``get_config()`` must be enough to make it again.
    images : sequence of (H, W) uint8, uint16 or int16 arrays
    threads : int, optional
        Number of threads that the other process may calculate with.
    streams : sequence of bytes, optional
        The images' streams, where they are at hand already.

    Returns
    -------
    (N,) bool array

    Raises
    ------
    ValueError
        If the other process could not decode a stream.
    """
    streams = map(codec.encode, images) if streams is None else streams
    parts = [json.dumps(codec.get_config()).encode(), *map(bytes, streams)]
    limits = {} if threads is None else dict.fromkeys(THREAD_VARIABLES, str(threads))
    done = subprocess.run(
        [sys.executable, "-m", "helpers.lossless"],
        input=b"".join(len(part).to_bytes(4, "little") + part for part in parts),
        capture_output=True,
        check=False,
        env={**os.environ, **limits},
    )
    if done.returncode:
        reason = done.stderr.decode(errors="replace").strip().splitlines()[-1:]
        raise ValueError(f"The stream did not decode in another process: {' '.join(reason)}")
    found = done.stdout.decode().split()
    same = [pixel_hash(i) == there for i, there in zip(images, found, strict=True)]
    return np.array(same, bool)


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


def _decode_here() -> None:
    """Print a fingerprint for each stream on standard input.

    There stand a JSON config and the streams, each after its length in 4 bytes.
    """
    from numcodecs.registry import get_codec

    import helpers.codecs  # noqa: F401  (registers the codecs of this book)

    source = sys.stdin.buffer
    config, *streams = iter(lambda: source.read(int.from_bytes(source.read(4), "little")), b"")
    config = json.loads(config)
    if config["id"].startswith("imagecodecs_"):
        from imagecodecs.numcodecs import register_codecs

        register_codecs(config["id"], verbose=False)
    codec = get_codec(config)
    for stream in streams:
        print(pixel_hash(np.asarray(codec.decode(stream))))


if __name__ == "__main__":
    _decode_here()
