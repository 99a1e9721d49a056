"""The reference run of the ablation by training: what hyperprior and context buy."""

from collections.abc import Mapping
from itertools import islice
from pathlib import Path

import pandas as pd
import torch

from helpers import stats, weights
from helpers.codecs.hyperprior.codec import HyperCodec
from helpers.codecs.hyperprior.integers import LEVELS
from helpers.codecs.hyperprior.model import trained
from helpers.data import ImageSet
from helpers.experiments import results
from helpers.experiments.beyond import ablation, lossy_reference, pictures
from helpers.models.hyperprior.network import Hyperprior
from helpers.progress import progress

FILE = results.FOLDER / "beyond-the-papers-ablation.json"
COMMAND = "python -m helpers reference beyond-the-papers --codec ablation"
STEPS, BATCH, SEED = 500, 8, 0
HELD_OUT = 6  # images of a set
POINTS = (8, 24, 40, 56)  # levels


def run(limit: int | None = None, file: Path = FILE, steps: int = STEPS) -> Path:
    """Train all variants, measure them on held-out images and write the result.

    Parameters
    ----------
    limit : int, optional
        At most this many images an album and a set.
    file : pathlib.Path
        Where the JSON file goes.
    steps : int
        Of the training of each variant.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    DataError
        If weights or images are not at hand.
    """
    model = HyperCodec().model
    whole = trained(model).network
    crops = pictures.Crops(pictures.albums("train", limit), BATCH, SEED)
    batches = ablation.batches_of(whole, islice(crops, steps), SEED)
    del crops  # some gigabytes
    nets, trainings = {ablation.SHIPPED: ablation.variant(whole, None)}, []
    for name, parts in ablation.VARIANTS.items():
        nets[name] = ablation.variant(whole, parts, SEED)
        trainings.append({"variant": name, **ablation.fit(nets[name], batches, parts)})
        print(f"{name}: {trainings[-1]['seconds']:.0f} s", flush=True)
    used = lossy_reference.sets(min(HELD_OUT, limit or HELD_OUT))
    measured = rates(whole, nets, used)
    tables = {
        "training": pd.DataFrame(trainings),
        "rates": measured,
        "more": more(measured),
    }
    command = COMMAND if limit is None else f"{COMMAND} --limit {limit}"
    result = {
        **results.header("beyond-the-papers", command),
        "weights_sha256": {model: weights.sha256(model).hex()},
        "training": {"steps": steps, "batch": BATCH, "crop": pictures.CROP, "seed": SEED},
        "images": [results.images(part, "test") | {"name": n} for n, part in used.items()],
        "tables": {name: results.rows(table) for name, table in tables.items()},
    }
    return results.write(result, file)


@torch.no_grad()
def rates(
    whole: Hyperprior, nets: Mapping[str, Hyperprior], sets: Mapping[str, ImageSet]
) -> pd.DataFrame:
    """Bits a pixel of the same rounded latents under each variant.

    Parameters
    ----------
    whole : Hyperprior
        Whose transform and steps make the latents.
    nets : mapping of str to Hyperprior
        Variants by name.
    sets : mapping of str to ImageSet
        Of 8 bits, held out.

    Returns
    -------
    pandas.DataFrame
        A row an image and level: set, image_id, patient_id, level, and bits a pixel in a column
        for each variant, hyper-latent included.
    """
    rows = []
    for label, images in sets.items():
        for k in progress(range(len(images)), label):
            for level in POINTS:
                image = images.images[k]
                known = ablation.coded_image(whole, image, level / (LEVELS - 1))
                row = {
                    "set": label,
                    "image_id": images.ids[k],
                    "patient_id": images.patients[k],
                    "level": level,
                }
                for name, net in nets.items():
                    parts = ablation.VARIANTS.get(name, ablation.VARIANTS[ablation.EVERYTHING])
                    row[name] = float(ablation.bits(net, known, parts.hyperprior)) / image.size
                rows.append(row)
    return pd.DataFrame(rows)


def more(measured: pd.DataFrame) -> pd.DataFrame:
    """How many per cent more bits a variant takes than one that knows everything.

    Parameters
    ----------
    measured : pandas.DataFrame
        From `rates`, or some of its rows.

    Returns
    -------
    pandas.DataFrame
        A row a variant and set, and one for all sets together: set, variant, mean (over images, of
        the mean over their levels), low, high (see `helpers.stats.mean_interval`), images,
        patients.
    """
    names = [name for name in measured if name in (ablation.SHIPPED, *ablation.VARIANTS)]
    relative = measured[names].div(measured[ablation.EVERYTHING], axis=0).sub(1).mul(100)
    keys = ["set", "image_id", "patient_id"]
    images = measured[keys].join(relative).groupby(keys, sort=False)[names].mean().reset_index()
    parts = [*images.groupby("set", sort=False), ("all", images)]
    return pd.DataFrame(
        {"set": label, "variant": name}
        | stats.mean_interval(part[name], part["patient_id"]).as_dict()
        for label, part in parts
        for name in names
    )


def load_tables(file: Path = FILE) -> dict[str, pd.DataFrame]:
    """Tables of the reference run by name: ``training``, ``rates``, ``more``."""
    return results.tables(facts(file))


def facts(file: Path = FILE) -> dict:
    """Return the whole reference result, with the command, device and versions behind it."""
    return results.read(file, COMMAND)
