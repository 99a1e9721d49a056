"""The reference run of the model trained for MS-SSIM: both measures, against its twin."""

from pathlib import Path

import pandas as pd

from helpers import weights
from helpers.bench.lossy import ANCHORS, METRICS, measure, saved
from helpers.codecs.hyperprior.codec import HyperCodec
from helpers.curves import decibels
from helpers.experiments import results
from helpers.experiments.beyond import lossy_reference

FILE = results.FOLDER / "beyond-the-papers-msssim.json"
COMMAND = "python -m helpers reference beyond-the-papers --codec msssim"
SETS = ("Kermany, 256²", "NIH, 256²", "T1", "FLAIR and T2")
IMAGES = 8  # of a set
CODECS = (*ANCHORS, "jpegxl", "hyper", "hyper-msssim")


def run(limit: int | None = None, file: Path = FILE) -> Path:
    """Measure both models and write the result.

    Parameters
    ----------
    limit : int, optional
        At most this many images a set.
    file : pathlib.Path
        Where the JSON file goes.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    DataError
        If weights or images are not at hand.
    """
    names = (HyperCodec().model, "hyper-msssim")
    digests = {name: weights.sha256(name).hex() for name in names}
    whole = lossy_reference.sets()
    used = {name: whole[name].spread(limit or IMAGES) for name in SETS}
    deltas = []
    for name, images in used.items():
        table, _ = measure(images.images, CODECS)
        found = compared(table.assign(ms_ssim_db=decibels(table["ms_ssim"])))
        found["patient_id"] = [images.patients[k] for k in found["image"]]
        deltas.append(found.assign(set=name))
    command = COMMAND if limit is None else f"{COMMAND} --limit {limit}"
    result = {
        **results.header("beyond-the-papers", command),
        "weights_sha256": digests,
        "images": [results.images(part, "test") | {"name": n} for n, part in used.items()],
        "tables": {"deltas": results.rows(pd.concat(deltas, ignore_index=True))},
    }
    return results.write(result, file)


def compared(table: pd.DataFrame) -> pd.DataFrame:
    """BD-rates against JPEG 2000 in two measures.

    Parameters
    ----------
    table : pandas.DataFrame
        From `helpers.bench.lossy.measure`, with ``ms_ssim_db``, -10 log10 of what is lost.

    Returns
    -------
    pandas.DataFrame
        A row an image and codec but JPEG 2000: image, codec, psnr, ms_ssim (per cent).
    """
    curves = dict(iter(table.groupby(["codec", "image"], sort=False)))
    rows = []
    for (codec, image), curve in curves.items():
        if codec != ANCHORS[0]:
            anchor = curves.get((ANCHORS[0], image))
            found = {name: saved(anchor, curve, column) for name, column in METRICS.items()}
            rows.append({"image": image, "codec": codec, **found})
    return pd.DataFrame(rows)


def load_tables(file: Path = FILE) -> dict[str, pd.DataFrame]:
    """Tables of the reference run by name: ``deltas``."""
    return results.tables(facts(file))


def facts(file: Path = FILE) -> dict:
    """Return the whole reference result, with the command, device and versions behind it."""
    return results.read(file, COMMAND)
