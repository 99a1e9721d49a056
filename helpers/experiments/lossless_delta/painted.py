"""HiFiC's row: the picture of an adversarially trained codec, and the delta it leaves."""

import struct

import pandas as pd

from helpers.codecs import residual
from helpers.codecs.hific import HificCodec
from helpers.data import ImageSet
from helpers.experiments.lossless_delta.coded import coded
from helpers.progress import progress

LABEL = "HiFiC"
START = struct.calcsize("<BI")  # of the payload: a coder and the length of the latents


def streams(images: ImageSet) -> pd.DataFrame:
    """Code every film with every coder of the delta, and decode it again.

    Parameters
    ----------
    images : ImageSet
        8-bit films.

    Returns
    -------
    pandas.DataFrame
        The columns of `helpers.experiments.lossless_delta.measurements.streams`; the latents are
        range coded, not stored as floats.
    """
    rows = []
    for index in progress(range(len(images)), LABEL):
        film = images.images[index]
        found = HificCodec().paint(film)
        side = len(found.code)
        for name in residual.CODERS:
            codec = HificCodec(name)
            stream = codec.wrap(film, codec.payload(film, found))
            rows.append(
                {
                    "image_id": images.ids[index],
                    "patient_id": images.patients[index],
                    "model": LABEL,
                    "latent": "range code",
                    "delta": "exact",
                    "coder": name,
                    **coded(film, codec, stream, START + side, side, found.picture),
                }
            )
    return pd.DataFrame(rows)
