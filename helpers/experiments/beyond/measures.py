"""What the lossless codec is measured by: shares of the best standard, and what each part buys."""

from collections.abc import Callable, Mapping, Sequence
from time import process_time

import pandas as pd

from helpers import codecs
from helpers.codecs.causal import network, walk
from helpers.codecs.classical import JpegXl
from helpers.codecs.learned import LearnedCodec, trained
from helpers.data import ImageSet
from helpers.experiments.beyond.data import from_zero
from helpers.lossless import exact_elsewhere
from helpers.models.context import ContextNet
from helpers.progress import progress

OTHERS = ("png", "jpeg2000", "jpegls")
# what is added from one row to the next: the network's weights, and which experts are heard
STEPS = (
    ("least squares alone", False, (False,) * 5),
    ("and mixed decisions", False, (True,) * 5),
    ("network instead of both", True, (False,) * 5),
    ("network and mixed decisions", True, (True, True, True, False, True)),
    ("and the counter: the codec", True, (True,) * 5),
)


def shares(sets: Mapping[str, ImageSet], models: Mapping[str, str]) -> pd.DataFrame:
    """Bytes of each image in the learned codec and in the standards, and their shares.

    Parameters
    ----------
    sets : mapping of str to ImageSet
    models : mapping of str to str
        Name of the weights for each set.

    Returns
    -------
    pandas.DataFrame
        A row an image: set, image_id, patient_id, pixels, bits, learned, jpegxl (the best of
        efforts 3, 7 and 9), ``png``, ``jpeg2000``, ``jpegls`` (bytes of whole streams), share
        (learned of jpegxl), encode_s, decode_s (of CPU
        time, on one thread), exact (decoded in another process with another number of threads).
    """
    rows = []
    for name, images in sets.items():
        codec = LearnedCodec(models[name])
        codec.decode(codec.encode(images.images[0][:32, :32]))  # compiles
        streams = []
        for k in progress(range(len(images)), name):
            image = images.images[k]
            encode_s, stream = _timed(codec.encode, image)
            decode_s, _ = _timed(codec.decode, stream)
            streams.append(stream)
            best = len(JpegXl().encode(image))
            others = {other: len(codecs.get(other).encode(image)) for other in OTHERS}
            rows.append(
                {
                    **_who(name, images, k),
                    "pixels": image.size,
                    "bits": images.bit_depth,
                    "learned": len(stream),
                    "jpegxl": best,
                    **others,
                    "share": len(stream) / best,
                    "encode_s": encode_s,
                    "decode_s": decode_s,
                }
            )
        exact = exact_elsewhere(codec, images.images, threads=2, streams=streams)
        for row, same in zip(rows[-len(images) :], exact, strict=True):
            row["exact"] = bool(same)
    return pd.DataFrame(rows)


def steps(sets: Mapping[str, ImageSet], models: Mapping[str, str]) -> pd.DataFrame:
    """Share of the best JPEG XL after each ingredient, on whole codes without envelope.

    Parameters
    ----------
    sets : mapping of str to ImageSet
    models : mapping of str to str

    Returns
    -------
    pandas.DataFrame
        A row an image and step: set, image_id, patient_id, step, bytes, share.
    """
    untrained = network.load({k: v.numpy() for k, v in ContextNet().state_dict().items()})
    rows = []
    for name, images in sets.items():
        net = trained(models[name])
        for k in progress(range(len(images)), name):
            values = from_zero(images.images[k])
            best = len(JpegXl().encode(images.images[k]))
            for step, learnt, heard in STEPS:
                size = len(walk.encode(values, net if learnt else untrained, heard))
                rows.append({**_who(name, images, k), "step": step, **_size(size, best)})
    return pd.DataFrame(rows)


def elsewhere(sets: Mapping[str, ImageSet], models: Sequence[str]) -> pd.DataFrame:
    """Share of the best JPEG XL with each network, at home and not.

    Parameters
    ----------
    sets : mapping of str to ImageSet
    models : sequence of str

    Returns
    -------
    pandas.DataFrame
        A row an image and network: set, image_id, patient_id, model, bytes, share.
    """
    rows = []
    for name, images in sets.items():
        for k in progress(range(len(images)), name):
            best = len(JpegXl().encode(images.images[k]))
            for model in models:
                size = len(LearnedCodec(model, standards=False).encode(images.images[k]))
                rows.append({**_who(name, images, k), "model": model, **_size(size, best)})
    return pd.DataFrame(rows)


def _who(name: str, images: ImageSet, k: int) -> dict[str, str]:
    """Say which image of which set a row is of."""
    return {"set": name, "image_id": images.ids[k], "patient_id": images.patients[k]}


def _size(size: int, best: int) -> dict[str, float]:
    return {"bytes": size, "share": size / best}


def _timed(function: Callable, argument: object) -> tuple[float, object]:
    begin = process_time()
    result = function(argument)
    return process_time() - begin, result
