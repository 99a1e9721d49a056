"""The reference run: everything the chapter measures, on all films at hand, kept as JSON."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import measure, weights
from helpers.codecs.ae import LatentCodec
from helpers.data import ImageSet
from helpers.data.cbis_ddsm import listed
from helpers.data.registry import datasets
from helpers.errors import DataError
from helpers.experiments import comparisons, results
from helpers.experiments.ae_vae import components
from helpers.experiments.ae_vae import measurements as m
from helpers.experiments.ae_vae.data import films, leak

FILE = results.FOLDER / "ae-vae-cbis-ddsm.json"
COMMAND = "python -m helpers reference ae-vae-cbis-ddsm"
QUALITY = ("bytes", "mse", *m.METRICS)
NEAREST = ("mse_own", "mse_nearest", "nearest_is_own")
EQUAL = ("bytes", "psnr", "ssim", "fits")
SMALL = ("spiht", "wavelet", "jpeg", "jpeg2000", "jpegxl", "avif")
RATES = (0.0125, 0.025, 0.05, 0.1, 0.2, 0.4)
COMPARED = 60  # test films that the standards are compared on


def run(
    sources: Sequence[str],
    limit: int | None = None,
    sweep: Sequence[str] = (),
    file: Path = FILE,
) -> Path:
    """Measure the shipped weights on whole films and write the result.

    Parameters
    ----------
    sources : sequence of str
        Sources of mammograms with training films.
    limit : int, optional
        At most this many films a source and side, spread evenly.
    sweep : sequence of str
        Names of further weights of the variational network, one a weight of the divergence.
    file : pathlib.Path
        Where the JSON file goes.

    Returns
    -------
    pathlib.Path
        The file.
    """
    parts, used, names = [], [], {name: name for name in (*m.MODELS.values(), *sweep)}
    for name in names:
        weights.path(name)  # or it would be missed after long measuring
    for source in sources:
        train, test = films(source, LatentCodec(m.MODELS["AE"]).side)
        listing = _listing(train, test)
        sides = {"train": train.spread(limit), "test": test.spread(limit)}
        used += [results.images(images, side) for side, images in sides.items()]
        tables = measured(train, sides) | {"leak": pd.DataFrame([leak(listing)])}
        tables["sweep"] = _sweep(source, limit, sweep)
        parts.append({key: table.assign(source=train.source) for key, table in tables.items()})
    command = " ".join(
        [
            COMMAND,
            *(f"--source {name}" for name in results.sources(used)),
            *(f"--sweep {name}" for name in sweep),
            *([f"--limit {limit}"] if limit else []),
        ]
    )
    result = {
        **results.header("ae-vae-cbis-ddsm", command),
        "weights_sha256": {name: weights.sha256(name).hex() for name in names},
        "cards": {name: _training(name) for name in sweep},
        "images": used,
        "tables": {key: results.rows(pd.concat([part[key] for part in parts])) for key in parts[0]},
    }
    return results.write(result, file)


def measured(train: ImageSet, sides: dict[str, ImageSet]) -> dict[str, pd.DataFrame]:
    """All tables of one source.

    Parameters
    ----------
    train : ImageSet
        All training films, for the principal components and for the search of neighbours.
    sides : dict of str to ImageSet
        ``"train"`` and ``"test"``: the films that are measured.

    Returns
    -------
    dict of str to pandas.DataFrame
        ``quality``, ``nearest``, ``equal``, ``curves`` in long form (one row a
        group and measure), ``films`` (the squared error of every film under AE, VAE and JPEG)
        and ``divergences``.
    """
    basis = components.fit_components(train.stack())
    coded = {side: _coded(images, basis) for side, images in sides.items()}
    table = _both(coded)
    near = {
        (side, label): m.nearest(LatentCodec(name), images, train)
        for side, images in sides.items()
        for label, name in m.MODELS.items()
    }
    near = pd.concat([t.assign(side=s, codec=c) for (s, c), t in near.items()])
    some = sides["test"].spread(COMPARED)
    return {
        "quality": measure.summary(table, QUALITY, by=("side", "codec", "latent")),
        "films": _film_by_film(table),
        "nearest": measure.summary(near, NEAREST, by=("side", "codec")),
        "equal": _equal(some, coded["test"]),
        "curves": _curves(some),
        "divergences": m.divergences(m.MODELS["VAE"], sides["test"]),
    }


def _coded(images: ImageSet, basis: tuple[np.ndarray, np.ndarray]) -> pd.DataFrame:
    """Every film as the networks, JPEG and as many principal components keep it."""
    parts = [
        m.ours(images, m.MODELS),
        m.jpeg(images).assign(latent=""),
        components.components_rows(images, *basis),
    ]
    return pd.concat(parts, ignore_index=True)


def _both(sides: dict[str, pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([table.assign(side=side) for side, table in sides.items()])


def _film_by_film(table: pd.DataFrame) -> pd.DataFrame:
    """Errors of the codecs as the paper has them: latents in floats, and JPEG."""
    rows = table[table["latent"].isin(["float32", ""]) & (table["codec"] != "PCA")]
    keys = ["image_id", "patient_id", "side"]
    return rows.pivot(index=keys, columns="codec", values="mse").reset_index()


def _equal(images: ImageSet, coded: pd.DataFrame) -> pd.DataFrame:
    """Standards with as many bytes as the auto-encoder, and as JPEG of quality 85."""
    parts = []
    kept = coded[coded["image_id"].isin(images.ids)]
    for budget, rows in {
        "AE": kept[(kept["codec"] == "AE") & (kept["latent"] == "float32")],
        "jpeg": kept[kept["codec"] == "jpeg"],
    }.items():
        families = [name for name in SMALL if name != budget]
        found = comparisons.at_equal_or_least_bytes(images, rows, families, ("psnr", "ssim"))
        parts.append(found.assign(budget=budget))
    return measure.summary(pd.concat(parts), EQUAL, by=("budget", "codec"))


def _curves(images: ImageSet) -> pd.DataFrame:
    """Rate-distortion curves; a family that has no stream so small has no such point."""
    parts = []
    for rate in RATES:
        budget = pd.DataFrame({"image_id": images.ids, "bpp": rate})
        found = comparisons.at_equal_or_least_bytes(images, budget, SMALL, ("psnr",))
        fitting = found.groupby("codec")["fits"].transform("all")
        parts.append(found[fitting].assign(point=rate))
    return measure.summary(pd.concat(parts), ("bpp", "psnr"), by=("codec", "point"))


def _sweep(source: str, limit: int | None, names: Sequence[str]) -> pd.DataFrame:
    """What the weight of the divergence does: quality on both sides, bits and active numbers."""
    rows = []
    for name in names:
        train, test = (part.spread(limit) for part in films(source, LatentCodec(name).side))
        coded = {
            side: m.ours(images, {name: name}, ("float32",), ("psnr",))
            for side, images in (("train", train), ("test", test))
        }
        found = measure.summary(_both(coded), ("psnr",), by=("side",))
        code = m.divergences(name, test)
        rows.append(
            found.assign(
                weights=name,
                beta=weights.card(name)["beta"],
                bits=float(code["bits"].sum()),
                active=int(code["active"].sum()),
            )
        )
    return pd.concat(rows) if rows else pd.DataFrame()


def _listing(train: ImageSet, test: ImageSet) -> list[tuple[str, str]]:
    """Rows of the official training table, after a look at whether the source will do at all."""
    if not (len(train) and len(test)):
        raise DataError(
            f"The source '{test.source}' has {len(train)} training and {len(test)} test films in "
            "the oblique view, and the reference run needs both; give 'cbis-ddsm-256', for example."
        )
    folder = datasets()["mammography"].source(train.source).folder()
    if folder is None:
        raise DataError(
            f"The tables that list the films of '{train.source}' are not on this machine; let the "
            "variable MEDCODEC_DATA name the folder that holds the data set."
        )
    return listed(folder, "train", "MLO")


def _training(name: str) -> dict:
    card = weights.card(name)
    keys = ("beta", "side", "schedule", "kept_epoch", "device", "date", "fit_seconds", "sha256")
    return {key: card[key] for key in keys}


def load(file: Path = FILE) -> dict[str, pd.DataFrame]:
    """Tables of the reference run by name: those of `measured`, ``leak`` and ``sweep``."""
    return results.tables(facts(file))


def facts(file: Path = FILE) -> dict:
    """Return the whole reference result, with the command, device and versions behind it."""
    return results.read(file, COMMAND)
