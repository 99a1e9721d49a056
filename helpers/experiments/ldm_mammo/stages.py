"""Stages of the reference run: from images to the tables that are kept of them."""

import math
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
from scipy.stats import binomtest

from helpers import measure, perceptual
from helpers.codecs.shrink import FACTORS, ShrinkCodec
from helpers.data import ImageSet
from helpers.experiments.ldm_mammo import classifier_search, shrink, task, versions
from helpers.experiments.ldm_mammo import measurements as m
from helpers.experiments.ldm_mammo.classifier import Settings
from helpers.experiments.ldm_mammo.classifier_data import Examples
from helpers.experiments.ldm_mammo.keeping import Tables
from helpers.progress import progress

SIDES = ("train", "validation", "test")
JUDGED = (m.DIFFUSION, m.BEFORE, "super-resolution", "bicubic")  # by what becomes of lesions
MEASURES = ("bytes", "bpp", *m.METRICS)
_SEARCHED = 4  # the search sees films reduced by this factor
_TRIED_EPOCHS = 3


def sizes(parts: versions.Parts) -> Tables:
    """Who is on which side, and what the test films cost at each size.

    Parameters
    ----------
    parts : train, validation, test

    Returns
    -------
    dict of str to pandas.DataFrame
        ``cohort``: side, label, images, patients. ``sizes``: see `shrink.sizes`.
    """
    cohort = []
    for side, part in zip(SIDES, parts, strict=True):
        who = pd.DataFrame({"label": part.labels, "patient": part.patients})
        for label, rows in who.groupby("label")["patient"]:
            counts = {"images": len(rows), "patients": rows.nunique()}
            cohort.append({"side": side, "label": label, **counts})
    test = parts[2]
    small = {factor: shrink.shrink(test, factor) for factor in FACTORS}
    return {"cohort": pd.DataFrame(cohort), "sizes": shrink.sizes(test, small)}


def quality(images: ImageSet, models: Mapping[str, str]) -> Tables:
    """Quality of the films that each upscaler restores, and of standards at the same bytes.

    Parameters
    ----------
    images : ImageSet
    models : mapping of str to str
        Names of upscalers by label.

    Returns
    -------
    dict of str to pandas.DataFrame
        ``quality``: the rows of `helpers.measure.summary` by factor and codec, with the
        variance over the images, which the paper reports; with LPIPS where its weights
        can be had.
    """
    distance, _ = perceptual.lpips()
    more = {"lpips": distance} if distance else {}
    ours = m.quality(images, models, more=more)
    table = pd.concat([ours, m.standards(images, ours, more=more)], ignore_index=True)
    found = measure.summary(table, (*MEASURES, *more), by=("factor", "codec"))
    spread = m.spread(table, ("bytes", *m.METRICS, *more))
    keys = zip(found["factor"], found["codec"], found["measure"], strict=True)
    variance = [spread.loc[(factor, codec), (name, "var")] for factor, codec, name in keys]
    return {"quality": found.assign(variance=variance)}


def rates(patches: task.Task, models: Mapping[str, str]) -> Tables:
    """How often upscalers erase and invent lesions in the test patches.

    Parameters
    ----------
    patches : Task
    models : mapping of str to str
        Names of upscalers by label; those of `JUDGED` are taken.

    Returns
    -------
    dict of str to pandas.DataFrame
        ``rates``: factor, codec, the columns of `measurements.rates` and Wilson's 95 %
        intervals of the shares, which take patches for independent.
    """
    jobs = [(factor, label) for factor in FACTORS for label in JUDGED]
    parts = []
    for factor, label in progress(jobs, "upscaler"):
        decoded = m.restored(patches.test, ShrinkCodec(factor, models[label]))
        table = m.rates(m.fates(patches.test, decoded, patches.lesions, patches.pixel_mm))
        table.insert(0, "factor", factor)
        table.insert(1, "codec", label)
        parts.append(table)
    found = pd.concat(parts, ignore_index=True)
    for share, count in (("erased", "seen"), ("invented", "clear")):
        ends = [_wilson(*pair) for pair in zip(found[share], found[count], strict=True)]
        found[[f"{share}_low", f"{share}_high"]] = ends
    return {"rates": found}


def _wilson(share: float, count: int) -> tuple[float, float]:
    """Wilson's 95 % interval of a share of so many; NaN of none."""
    if not count:
        return math.nan, math.nan
    found = binomtest(round(share * count), count).proportion_ci(method="wilson")
    return float(found.low), float(found.high)


def search(
    parts: versions.Parts,
    positive: str,
    trials: int,
    epochs: int,
    state: Mapping,
    folder: Path | None,
) -> Tables:
    """Look for the classifier's settings, on films of 1/4 size and in short trials.

    That is cheap, and no more than a guess at what suits larger films and longer trainings.

    Parameters
    ----------
    parts : train, validation, test
        Test films are not looked at.
    positive : str
    trials : int
    epochs : int
        Of the settings that come out; a trial has 3 at most.
    state : mapping of str to tensor
        ImageNet's weights.
    folder : pathlib.Path, optional
        For the trials so far.

    Returns
    -------
    dict of str to pandas.DataFrame
        ``trials``: number, learning_rate, weight_decay, dropout, batch, validation_loss,
        validation_auc, epoch (the best one's) and state. ``settings``: one row, those chosen.
    """
    small = [Examples.of(shrink.shrink(part, _SEARCHED), positive) for part in parts[:2]]
    begin = Settings(epochs=min(epochs, _TRIED_EPOCHS))
    # a file for each number: a shorter search must not know what a longer one found
    storage = None if folder is None else folder / f"search-{trials}.journal"
    study = classifier_search.search(*small, trials, storage, settings=begin, state=state)
    rows = [
        {
            "number": trial.number,
            **trial.params,
            "validation_loss": trial.value,
            "validation_auc": trial.user_attrs.get("validation_auc"),
            "epoch": trial.user_attrs.get("epoch"),
            "state": trial.state.name,
        }
        for trial in study.get_trials()
        if trial.state.name in ("COMPLETE", "PRUNED")  # others were interrupted and done again
    ]
    best = replace(classifier_search.best_settings(study, begin), epochs=epochs)
    return {"trials": pd.DataFrame(rows), "settings": pd.DataFrame([asdict(best)])}


def scores(
    parts: versions.Parts,
    positive: str,
    model: str,
    settings: Settings,
    state: Mapping,
    folder: Path | None,
) -> Tables:
    """What the five classifiers answer to the test films.

    Parameters
    ----------
    parts, positive, model, settings, state, folder
        See `versions.scores`.

    Returns
    -------
    dict of str to pandas.DataFrame
        ``scores``: image_id, patient_id, positive, and a column a version.
        ``history``: its second table.
    """
    judged, history = versions.scores(parts, positive, model, settings, state=state, folder=folder)
    keys = ["image_id", "patient_id", "positive"]
    wide = judged.pivot(index=keys, columns="version", values="score")
    wide = wide[list(judged["version"].unique())].reset_index().rename_axis(columns=None)
    return {"scores": wide, "history": history}
