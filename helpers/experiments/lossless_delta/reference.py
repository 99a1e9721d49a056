"""The reference run: everything the chapter measures, on all held-out films, kept as JSON."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import measure, weights
from helpers.codecs import residual
from helpers.codecs.delta import DeltaCodec
from helpers.data import ImageSet
from helpers.experiments import results
from helpers.experiments.lossless_delta import measurements as m
from helpers.experiments.lossless_delta.data import sets
from helpers.lossless import exact_elsewhere
from helpers.progress import progress

FILE = results.FOLDER / "lossless-delta-chest-xray.json"
COMMAND = "python -m helpers reference lossless-delta-chest-xray"
STREAM = ("bpp", "latent_bpp", "delta_bpp", "entropy", "max_error", "exact")


def run(sources: Sequence[str], limit: int | None = None, file: Path = FILE) -> Path:
    """Measure the weights at hand on the test films of each source and write the result.

    Parameters
    ----------
    sources : sequence of str
        Sources of chest films.
    limit : int, optional
        At most this many test films a source, spread evenly.
    file : pathlib.Path
        Where the JSON file goes.

    Returns
    -------
    pathlib.Path
        The file.
    """
    models = available()
    tables: dict[str, list[pd.DataFrame]] = {}
    used = []
    for source in sources:
        train, test = sets(source)
        test = test.spread(limit)
        used.append(results.images(test, "test"))
        for name, table in measured(train, test, models).items():
            tables.setdefault(name, []).append(table.assign(source=test.source))
    command = " ".join([COMMAND, *(f"--source {name}" for name in results.sources(used))])
    command += f" --limit {limit}" if limit else ""
    result = {
        **results.header("lossless-delta-chest-xray", command),
        "weights_sha256": {name: weights.sha256(name).hex() for name in models.values()},
        "images": used,
        "tables": {name: results.rows(pd.concat(parts)) for name, parts in tables.items()},
    }
    return results.write(result, file)


def available() -> dict[str, str]:
    """Models whose weights are on this machine; the dense one's do not travel with the book."""
    return {label: name for label, name in m.MODELS.items() if weights.exists(name)}


def measured(train: ImageSet, test: ImageSet, models: dict[str, str]) -> dict[str, pd.DataFrame]:
    """All tables of one source: means with intervals over patients, and one film by itself.

    Parameters
    ----------
    train, test : ImageSet
    models : dict of str to str

    Returns
    -------
    dict of str to pandas.DataFrame
        ``streams``, ``standards``, ``quality`` and ``predictors`` in long form (one row a
        group and measure), ``films`` (bits per pixel of every film under a few codecs) and
        ``proof`` (films that another process decoded exactly).
    """
    streams, standards = m.streams(test, models), m.standards(test)
    by = ("model", "latent", "delta", "coder")
    ours = streams.query("latent == 'int8'").assign(codec=lambda rows: rows["model"])
    films = pd.concat([standards, ours])[["image_id", "codec", "bpp"]]
    predictors = m.predictors(test, mean_film(train), models)
    return {
        "streams": measure.summary(streams, STREAM, by=by),
        "standards": measure.summary(standards, ("bpp",)),
        "quality": measure.summary(
            m.quality(test, models), ("mse", "psnr", "ms_ssim", "kl", "iou"), by=("model",)
        ),
        "predictors": measure.summary(
            predictors, ("side_bytes", "delta_bpp", "bpp"), by=("predictor",)
        ),
        "films": films,
        "proof": proof(test, models),
    }


def mean_film(train: ImageSet) -> np.ndarray:
    """Mean of the training films, rounded: a prediction that costs no bits."""
    total = sum(film.astype(np.int64) for film in train.images)
    return np.rint(total / len(train)).astype(np.uint8)


def proof(test: ImageSet, models: dict[str, str]) -> pd.DataFrame:
    """Decode every film in another process, with one thread, and count what came back.

    Parameters
    ----------
    test : ImageSet
    models : dict of str to str

    Returns
    -------
    pandas.DataFrame
        One row a model, coder and latent: films and how many of them came back exactly.
    """
    jobs = [(label, coder, "int8") for label in models for coder in residual.CODERS]
    jobs += [(label, "context", "float32") for label in models]
    rows = []
    for label, coder, latent in progress(jobs, "codec proven"):
        exact = exact_elsewhere(DeltaCodec(models[label], coder, latent), test.images, threads=1)
        rows.append(
            {
                "model": label,
                "coder": coder,
                "latent": latent,
                "films": len(exact),
                "exact": int(exact.sum()),
            }
        )
    return pd.DataFrame(rows)


def load(file: Path = FILE) -> dict[str, pd.DataFrame]:
    """Tables of the reference run by name; see `measured`."""
    return results.tables(facts(file))


def facts(file: Path = FILE) -> dict:
    """Return the whole reference result, with the command, device and versions behind it."""
    return results.read(file, COMMAND)
