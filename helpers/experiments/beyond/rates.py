"""What the lossy codec is measured by: curves and BD-rates, and what each part buys."""

import copy
from collections.abc import Mapping

import numpy as np
import pandas as pd

from helpers.bench.lossy import ANCHORS, bd_rates, measure, saved
from helpers.codecs.hyperprior import floats, stream, symbols
from helpers.codecs.hyperprior.closed_loop import ROUNDS, refined
from helpers.codecs.hyperprior.codec import HyperCodec
from helpers.codecs.hyperprior.integers import LEVELS
from helpers.codecs.hyperprior.model import Trained, trained
from helpers.data import ImageSet
from helpers.models.hyperprior.layout import BLOCK, MIDDLE
from helpers.progress import progress

CODECS = (*ANCHORS, "hyper", "jpegxl", "jpeg")
POINTS = (0, 12, 24, 36, 48, 60)  # levels at which parts are left out
NEVER = 1e9  # a margin that no saving reaches
STAYS = 400  # as many answers as a counter remembers


def curves(sets: Mapping[str, ImageSet]) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Rate-distortion curves of the lossy codecs, and their BD-rates image by image.

    Parameters
    ----------
    sets : mapping of str to ImageSet
        Of 8 bits.

    Returns
    -------
    curves : pandas.DataFrame
        A row a set, codec and setting, means over the images: set, codec, point, bpp, psnr,
        ms_ssim, encode_s, decode_s (on one thread).
    deltas : pandas.DataFrame
        A row an image and codec: set, image_id, patient_id, codec, jpeg2000, avif (BD-rates in per
        cent, see `helpers.bench.lossy`).
    """
    means, deltas = [], []
    for name, images in sets.items():
        table, _ = measure(images.images, CODECS)
        columns = ["bpp", "psnr", "ms_ssim", "encode_s", "decode_s"]
        mean = table.groupby(["codec", "point"], sort=False)[columns].mean().reset_index()
        means.append(mean.assign(set=name))
        found = bd_rates(table)
        found["image_id"] = [images.ids[k] for k in found["image"]]
        found["patient_id"] = [images.patients[k] for k in found["image"]]
        deltas.append(found.drop(columns="image").assign(set=name))
    return pd.concat(means, ignore_index=True), pd.concat(deltas, ignore_index=True)


def without(sets: Mapping[str, ImageSet], name: str = HyperCodec().model) -> pd.DataFrame:
    """BD-rate against the whole codec of a codec that lacks one of its parts.

    Parameters
    ----------
    sets : mapping of str to ImageSet
        Of 8 bits.
    name : str
        Of the weights.

    Returns
    -------
    pandas.DataFrame
        A row an image and part: set, image_id, patient_id, part, bd_rate (per cent, positive where
        the part saves bytes). Nothing is trained anew.
    """
    variants = _variants(trained(name))
    rows = []
    for label, images in sets.items():
        for k in progress(range(len(images)), label):
            found = {
                part: _curve(images.images[k], of[0], **of[1]) for part, of in variants.items()
            }
            whole = found.pop("whole")
            for part, curve in found.items():
                row = {"set": label, "image_id": images.ids[k], "patient_id": images.patients[k]}
                rows.append(row | {"part": part, "bd_rate": saved(whole, curve)})
    return pd.DataFrame(rows)


def estimated(image: np.ndarray, level: int, name: str = HyperCodec().model) -> dict[str, float]:
    """Bits a pixel as the training, the tables and the file count them.

    Parameters
    ----------
    image : (H, W) uint8 array
    level : int
    name : str
        Of the weights.

    Returns
    -------
    dict
        ``noisy``: the training's estimate, with noise in place of rounding; ``normal``: the
        rounded symbols under the normal law; ``counted``: under the counted chances; ``payload``:
        as written, with chances that follow the picture; ``stream``: all of the file.
    """
    import torch

    model, picture = trained(name), padded(image)
    with torch.inference_mode(), torch.random.fork_rng():
        torch.manual_seed(0)
        whole = torch.from_numpy(picture)[None, None]
        rate, _ = model.network(whole, torch.tensor([level / (LEVELS - 1)]))
    latents, side = refined(model, picture, level)
    tables = {"normal": symbols.normal_chances(), "counted": model.chances}
    costs = {key: symbols.costs(chances) for key, chances in tables.items()}
    total = dict.fromkeys(tables, 0.0)

    def write(found, scales):
        for key in total:
            total[key] += symbols.total_bits(costs[key], found, scales)
        return found

    stream.symbolise(model, latents, side, level, write)
    payload, _ = stream.encode(model, latents, side, level)
    bits = {key: value / image.size for key, value in total.items()}
    return {
        "noisy": float(rate) * picture.size / image.size,
        **bits,
        "payload": 8 * len(payload) / image.size,
        "stream": 8 * len(HyperCodec(level, name).encode(image)) / image.size,
    }


def silenced(model: Trained, analysis: bool = True) -> Trained:
    """The same codec with nothing added to the cosine transform.

    Parameters
    ----------
    model : Trained
    analysis : bool
        Silence the analysis network, too, not the synthesis alone.
    """
    network = copy.deepcopy(model.network)
    for half in (network.synthesis, *((network.analysis,) if analysis else ())):
        half.last.weight.data.zero_()
        half.last.bias.data.zero_()
    return model._replace(network=network)


def padded(image: np.ndarray) -> np.ndarray:
    """Pixels of 8 bits as the codec sees them: float32 less 128, sides multiples of 16.

    Parameters
    ----------
    image : (H, W) uint8
    """
    missing = [(0, -side % BLOCK) for side in image.shape]
    return np.pad(image.astype(np.float32) - MIDDLE, missing, mode="edge")


def _variants(model: Trained) -> dict[str, tuple[Trained, dict]]:
    """Models and options of the encoder with one part missing, by the part."""
    return {
        "whole": (model, {}),
        "thrifty rounding": (model, {"margin": NEVER}),
        "looking again": (model, {"rounds": 0}),
        "chances that follow the picture": (model, {"trust": STAYS}),
        "counted chances": (model._replace(chances=symbols.normal_chances()), {}),
        "the synthesis network": (silenced(model, analysis=False), {}),
        "both networks of the transform": (silenced(model), {}),
    }


def _curve(
    image: np.ndarray,
    model: Trained,
    rounds: int = ROUNDS,
    margin: float = stream.MARGIN,
    trust: int = stream.TRUST,
) -> pd.DataFrame:
    picture, rows = padded(image), []
    for point, level in enumerate(POINTS):
        latents, side = refined(model, picture, level, rounds, margin)
        payload, made = stream.encode(model, latents, side, level, trust, margin)
        shown = floats.synthesised(model, made, level)[: image.shape[0], : image.shape[1]]
        shown = np.rint(np.clip(shown + MIDDLE, 0, 255))
        error = float(np.mean((shown - image) ** 2))
        psnr = 10 * np.log10(255**2 / error) if error else np.inf
        rows.append(
            {"codec": "hyper", "point": point, "bpp": 8 * len(payload) / image.size, "psnr": psnr}
        )
    return pd.DataFrame(rows)
