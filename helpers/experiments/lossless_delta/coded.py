"""What becomes of one stream of latents and delta: its parts in bits, and whether it is exact."""

import numpy as np

from helpers import measure, metrics
from helpers.codecs import residual
from helpers.codecs.container import check_decoded, unpack
from helpers.codecs.entropy import entropy


def coded(film, codec, stream: bytes, start: int, side: int, prediction) -> dict:
    """What a stream with a delta takes, and whether the film comes back.

    Parameters
    ----------
    film : (H, W) uint8
    codec : helpers.codecs.base.ImageCodec
        With a ``coder`` of the delta, and the convention ``delta`` where there are several.
    stream : bytes
    start : int
        Where in the payload the delta begins.
    side : int
        Bytes of the latents.
    prediction : (H, W) integer array
        What the latents decode to.
    """
    header, payload = unpack(stream, codec.codec_id)
    rest = residual.decode(payload[start:], film.shape, codec.coder)
    decoded = residual.undo_difference(rest, prediction, getattr(codec, "delta", "exact"))
    check_decoded(decoded, header)
    return {
        "bytes": len(stream),
        "bpp": measure.bits_per_pixel(stream, film),
        "latent_bpp": 8 * side / film.size,
        "delta_bpp": measure.bits_per_pixel(payload[start:], film),
        "entropy": entropy(rest),
        "max_error": metrics.max_error(film, decoded),
        "exact": np.array_equal(film, decoded),
    }
