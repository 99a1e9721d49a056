"""The reference run: everything the chapter measures, on all held-out films, kept as JSON."""

import os
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from multiprocessing import get_context
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
from helpers.experiments.lossless_delta.training import RECIPES
from helpers.lossless import exact_elsewhere
from helpers.progress import progress

FILE = results.FOLDER / "lossless-delta-chest-xray.json"
COMMAND = "python -m helpers reference lossless-delta-chest-xray"
STREAM = ("bpp", "latent_bpp", "delta_bpp", "entropy", "max_error", "exact")
QUALITY = ("mse", "psnr", "ms_ssim", "kl", "iou")
PREDICTOR = ("side_bytes", "delta_bpp", "bpp", "dct_bpp")
_WITH_FLOATS = "CNN 1.0"  # whose float32 latent is proven, too


def run(
    sources: Sequence[str],
    limit: int | None = 100,
    file: Path = FILE,
    proven: int | None = None,
    processes: int | None = None,
) -> Path:
    """Measure the weights at hand on the test films of each source and write the result.

    Parameters
    ----------
    sources : sequence of str
        Sources of chest films.
    limit : int, optional
        At most this many test films a source, spread evenly.
    file : pathlib.Path
        Where the JSON file goes.
    proven : int, optional
        The same for the proof in another process, which takes all test films otherwise.
    processes : int, optional
        Number of sources measured at a time; when omitted half as many as there are processors,
        since the proof decodes with two threads, and threads that wait for each other crawl.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    DataError
        If the weights of CNN 1.0, whose latent is proven in both forms, are not at hand.
    """
    weights.path(m.MODELS[_WITH_FLOATS])  # or it would be missed after hours of measuring
    models = {label: name for label, name in available().items() if _finished(name)}
    measure_one = partial(_source, limit=limit, proven=proven, models=models)
    processes = processes or max(1, (os.cpu_count() or 1) // 2)
    if processes == 1:
        parts = list(map(measure_one, sources))
    else:
        with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
            parts = list(pool.map(measure_one, sources))
    used = [described for described, _ in parts]
    command = " ".join([COMMAND, *(f"--source {name}" for name in results.sources(used))])
    command += f" --limit {limit}" if limit else ""
    result = {
        **results.header("lossless-delta-chest-xray", command),
        "weights_sha256": {name: weights.sha256(name).hex() for name in models.values()},
        "cards": {name: weights.card(name) for name in models.values() if not _travels(name)},
        "images": used,
        "tables": {
            name: results.rows(pd.concat([found[name] for _, found in parts if name in found]))
            for name in dict.fromkeys(name for _, found in parts for name in found)
        },
    }
    return results.write(result, file)


def _source(source: str, limit: int | None, proven: int | None, models: dict[str, str]):
    """Describe the test films of one source, and measure them."""
    train, test = sets(source)
    found = measured(train, test.spread(limit), models)
    found["proof"] = proof(test.spread(proven), models)
    tables = {name: table.assign(source=test.source) for name, table in found.items()}
    return results.images(test, "test"), tables


def available(suffix: str = "") -> dict[str, str]:
    """Models whose weights are on this machine; the dense one's do not travel with the book.

    Parameters
    ----------
    suffix : str
        What the names of the weights end in; the book's own end in nothing.
    """
    names = {label: name + suffix for label, name in m.MODELS.items()}
    return {label: name for label, name in names.items() if weights.exists(name)}


def _finished(name: str) -> bool:
    """Whether a dense network was trained for the paper's epochs: the page's short one was not."""
    card = weights.card(name)
    if card.get("network") != "dense":
        return True
    return card["history"][-1]["epoch"] >= RECIPES["dense"].schedule.epochs


def _travels(name: str) -> bool:
    """Whether the book ships these very weights, card and all."""
    return weights.path(name).parent == weights.FOLDER


def measured(train: ImageSet, test: ImageSet, models: dict[str, str]) -> dict[str, pd.DataFrame]:
    """All tables of one source: means with intervals over patients, and one film by itself.

    Parameters
    ----------
    train, test : ImageSet
    models : dict of str to str

    Returns
    -------
    dict of str to pandas.DataFrame
        ``streams``, ``standards``, ``quality`` and, where there are training films,
        ``predictors`` in long form (one row a group and measure), and ``films`` (bits per
        pixel of every film under a few codecs).
    """
    streams, standards = m.streams(test, models), m.standards(test)
    by = ("model", "latent", "delta", "coder")
    ours = streams.query("latent == 'int8' and coder == 'dct'").rename(columns={"model": "codec"})
    films = pd.concat([standards[standards["codec"].isin(["png", "jpegxl"])], ours])
    tables = {
        "streams": measure.summary(streams, STREAM, by=by),
        "standards": measure.summary(standards, ("bpp",)),
        "quality": measure.summary(m.quality(test, models), QUALITY, by=("model",)),
        "films": films.pivot(index="image_id", columns="codec", values="bpp").reset_index(),
    }
    if len(train):
        found = m.predictors(test, mean_film(train), models)
        tables["predictors"] = measure.summary(found, PREDICTOR, by=("predictor",))
    return tables


def mean_film(train: ImageSet) -> np.ndarray:
    """Mean of the training films, rounded: a prediction that costs no bits."""
    total = sum(film.astype(np.int64) for film in train.images)
    return np.rint(total / len(train)).astype(np.uint8)


def proof(test: ImageSet, models: dict[str, str]) -> pd.DataFrame:
    """Decode every film in another process and count what came back.

    The sender calculates with one thread, the other process with two. Every model is proven
    with every coder and the 8-bit latent, CNN 1.0 with the float32 latent, too.

    Parameters
    ----------
    test : ImageSet
    models : dict of str to str

    Returns
    -------
    pandas.DataFrame
        One row a model, coder and latent: films and how many of them came back exactly.
    """
    jobs = [(label, "int8", tuple(residual.CODERS)) for label in models]
    jobs += [(_WITH_FLOATS, "float32", ("dct",))]
    rows = []
    for label, latent, coders in progress(jobs, "model proven"):
        codecs = [DeltaCodec(models[label], coder, latent) for coder in coders]
        predicted = [(film, *codecs[0].predict(film)) for film in test.images]
        for codec in codecs:
            streams = [codec.wrap(found[0], codec.payload(*found)) for found in predicted]
            exact = exact_elsewhere(codec, test.images, threads=2, streams=streams)
            row = {"model": label, "coder": codec.coder, "latent": latent}
            rows.append(row | {"films": len(exact), "exact": int(exact.sum())})
    return pd.DataFrame(rows)


def load(file: Path = FILE) -> dict[str, pd.DataFrame]:
    """Tables of the reference run by name; see `measured`."""
    return results.tables(facts(file))


def facts(file: Path = FILE) -> dict:
    """Return the whole reference result, with the command, device and versions behind it."""
    return results.read(file, COMMAND)
