"""Bayesian optimisation of the classifier's settings, as Hwang and Woo (2023) did."""

import copy
import logging
import warnings
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from helpers.experiments.ldm_mammo.classifier import Diverged, Settings, fit
from helpers.experiments.ldm_mammo.classifier_data import Examples, key_of
from helpers.models import resnet
from helpers.progress import live

if TYPE_CHECKING:
    import optuna

# lowest and highest value; the paper names neither the ranges nor what it found
RANGES = {"learning_rate": (1e-5, 1e-2), "weight_decay": (1e-7, 1e-2), "dropout": (0.0, 0.6)}
LOGARITHMIC = {"learning_rate", "weight_decay"}
BATCHES = (8, 16, 32)


def search(
    train: Examples,
    validation: Examples,
    trials: int,
    storage: Path | None = None,
    *,
    settings: Settings | None = None,
    state: Mapping[str, Tensor] | None = None,
    body: nn.Module | None = None,
    features: int = 2048,
) -> "optuna.Study":
    """Look for the settings with the lowest validation loss, with a Gaussian process.

    The first trial takes the given settings, so that the search never ends below them; the next
    nine are drawn at random, and the rest where the process expects the most. Validation films
    choose the settings and, in each trial, the epoch, so that their loss is too good: only
    other patients tell how good the classifier is.

    Every trial has a seed of its own, made from that of the settings and its number: a search
    that is interrupted goes on as if it had not been.

    Parameters
    ----------
    train, validation : Examples
    trials : int
        To be finished in all, those in the storage included.
    storage : pathlib.Path, optional
        Journal file, in which an interrupted search is found again. It may hold several
        searches, which differ in settings, images or weights.
    settings : Settings, optional
        Epochs and seed of every trial, and where the search begins.
    state, body, features
        As `helpers.experiments.ldm_mammo.classifier.fit` takes them.

    Returns
    -------
    optuna.Study
        Its trials carry ``validation_auc`` and ``epoch`` of the best epoch; a trial that
        diverged is pruned. `best_settings` reads it.
    """
    import optuna
    from threadpoolctl import threadpool_limits

    settings = settings or Settings()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        first = resnet.build(state, body=copy.deepcopy(body), features=features)
    name = key_of(settings, train, validation, first)

    def objective(trial: "optuna.Trial") -> float:
        live(f"search, trial {_finished(study) + 1}/{trials}")
        with threadpool_limits(1, "blas"):  # matrices this small only wait for other threads
            tried = replace(settings, **_suggest(trial))
        try:
            _, rows = fit(train, validation, tried, state=state, body=body, features=features)
        except Diverged as error:
            raise optuna.TrialPruned(str(error)) from error
        best = rows.loc[rows["validation_loss"].idxmin()]
        trial.set_user_attr("validation_auc", float(best["validation_auc"]))
        trial.set_user_attr("epoch", int(best["epoch"]))
        return float(best["validation_loss"])

    loudness = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            study = optuna.create_study(
                storage=_storage(storage), study_name=name, load_if_exists=True
            )
            while (number := _finished(study)) < trials:
                if number == 0:
                    study.enqueue_trial(_inside(settings))
                study.sampler = optuna.samplers.GPSampler(seed=1_000_003 * settings.seed + number)
                study.optimize(objective, n_trials=1)
    finally:
        optuna.logging.set_verbosity(loudness)
        live("")
    return study


def best_settings(study: "optuna.Study", settings: Settings | None = None) -> Settings:
    """Settings of a search's best trial.

    Parameters
    ----------
    study : optuna.Study
    settings : Settings, optional
        Those that the search began with: epochs and seed are theirs.

    Raises
    ------
    ValueError
        If no trial is complete.
    """
    import optuna

    if not study.get_trials(states=(optuna.trial.TrialState.COMPLETE,)):
        raise ValueError("No trial of this search is complete; search with more of them.")
    return replace(settings or Settings(), **study.best_params)


def _finished(study: "optuna.Study") -> int:
    """Number of trials that ended by themselves; one that was interrupted is tried again."""
    import optuna

    ended = (optuna.trial.TrialState.COMPLETE, optuna.trial.TrialState.PRUNED)
    return len(study.get_trials(deepcopy=False, states=ended))


def _suggest(trial: "optuna.Trial") -> dict[str, float]:
    values = {
        name: trial.suggest_float(name, low, high, log=name in LOGARITHMIC)
        for name, (low, high) in RANGES.items()
    }
    return {**values, "batch": trial.suggest_categorical("batch", BATCHES)}


def _inside(settings: Settings) -> dict[str, float]:
    """Values that a search can begin with: those that its ranges hold."""
    values = {
        name: getattr(settings, name)
        for name, (low, high) in RANGES.items()
        if low <= getattr(settings, name) <= high
    }
    return values | ({"batch": settings.batch} if settings.batch in BATCHES else {})


def _storage(file: Path | None) -> "optuna.storages.BaseStorage | None":
    if file is None:
        return None
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    file.parent.mkdir(parents=True, exist_ok=True)
    # this lock also works where links may not be made, as on Windows
    return JournalStorage(JournalFileBackend(str(file), JournalFileOpenLock(str(file))))
