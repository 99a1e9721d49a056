"""The search begins with the settings it is given, comes closer, and survives an interruption."""

from dataclasses import replace

import numpy as np
import optuna
import pandas as pd
import pytest
from toy_classifier import FEATURES, SETTINGS, TRAIN, VALIDATION, body, run

from helpers.experiments.ldm_mammo import classifier_search
from helpers.experiments.ldm_mammo.classifier import Diverged
from helpers.experiments.ldm_mammo.classifier_search import best_settings, search

pytestmark = pytest.mark.usefixtures("on_the_cpu")


@pytest.fixture
def valley(monkeypatch):
    """A fit whose loss is known: least at a learning rate of 1e-3 and a dropout of 0.3."""
    tried = []

    def fake(train, validation, settings, **options):
        tried.append(settings)
        if settings.learning_rate == 5e-5:
            raise Diverged("at 5e-5")
        loss = (np.log10(settings.learning_rate) + 3) ** 2 + (settings.dropout - 0.3) ** 2
        rows = {"epoch": [1, 2], "validation_loss": [loss, loss + 1], "validation_auc": [0.7, 0.8]}
        return {}, pd.DataFrame(rows)

    monkeypatch.setattr(classifier_search, "fit", fake)
    return tried


def look(trials, storage=None, settings=SETTINGS, train=TRAIN):
    return search(
        train, VALIDATION, trials, storage, settings=settings, body=body(), features=FEATURES
    )


def values(study):
    return [(trial.params, trial.value) for trial in study.get_trials()]


def test_a_search_begins_with_the_settings_and_comes_closer(valley, capfd):
    settings = replace(SETTINGS, learning_rate=1e-5, weight_decay=1e-6, epochs=4)
    study = look(12, settings=settings)
    assert valley[0] == settings and len(valley) == 12
    assert all((tried.epochs, tried.seed) == (4, 3) for tried in valley)
    best = best_settings(study, settings)
    assert best in valley and best.epochs == 4
    assert study.best_value < 0.2 < values(study)[0][1]
    # what the process proposes is better than what chance does
    found = [value for _, value in values(study)]
    assert np.median(found[10:]) < np.median(found[1:10])
    assert study.best_trial.user_attrs == {"validation_auc": 0.7, "epoch": 1}
    assert capfd.readouterr() == ("", "")
    assert optuna.logging.get_verbosity() == optuna.logging.INFO


def test_an_interrupted_search_goes_on_as_if_it_had_not_been(valley, tmp_path, monkeypatch):
    whole = values(look(11))
    file = tmp_path / "search" / "journal"
    look(4, file)
    working = classifier_search.fit

    def killed(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(classifier_search, "fit", killed)
    with pytest.raises(KeyboardInterrupt):
        look(11, file)
    monkeypatch.setattr(classifier_search, "fit", working)
    resumed = look(11, file)
    assert [pair for pair in values(resumed) if pair[1] is not None] == whole
    calls = len(valley)
    assert len(values(look(5, file))) == 12 and len(valley) == calls  # it is finished


def test_searches_of_other_data_or_settings_share_a_file_but_nothing_else(valley, tmp_path):
    file = tmp_path / "journal"
    look(2, file)
    assert len(values(look(1, file, train=VALIDATION))) == 1
    assert len(values(look(1, file, settings=replace(SETTINGS, seed=9)))) == 1
    assert len(values(look(2, file))) == 2


def test_a_trial_that_diverges_is_left_behind(valley):
    study = look(2, settings=replace(SETTINGS, learning_rate=5e-5))
    assert [trial.state.name for trial in study.get_trials()] == ["PRUNED", "COMPLETE"]
    assert best_settings(study).learning_rate != 5e-5
    with pytest.raises(ValueError, match="No trial of this search is complete"):
        best_settings(look(1, settings=replace(SETTINGS, learning_rate=5e-5)))


def test_settings_outside_the_ranges_are_no_first_trial(valley):
    look(1, settings=replace(SETTINGS, learning_rate=1.0, weight_decay=0.0, batch=5))
    assert valley[0].learning_rate <= 1e-2 and valley[0].weight_decay > 0
    assert valley[0].batch in classifier_search.BATCHES and valley[0].dropout == 0


def test_a_search_trains_what_it_says():
    settings = replace(SETTINGS, epochs=2)
    study = look(2, settings=settings)
    _, history = run(best_settings(study, settings))
    assert study.best_value == pytest.approx(history["validation_loss"].min(), rel=1e-6)
