"""The classifier learns, keeps its best epoch, resumes exactly, and finds its settings."""

from dataclasses import replace

import numpy as np
import optuna
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from torch import nn

from helpers.data import ImageSet
from helpers.errors import DataError
from helpers.experiments.ldm_mammo import classifier_search
from helpers.experiments.ldm_mammo.classifier import Diverged, Examples, Settings, fit, scores
from helpers.experiments.ldm_mammo.classifier_data import Resident, key_of
from helpers.experiments.ldm_mammo.classifier_search import best_settings, search
from helpers.models import resnet
from helpers.roc import auc

SETTINGS = Settings(learning_rate=3e-3, batch=8, epochs=6, seed=3)
FEATURES = 8


def body():
    """Eight features of one convolution; always the same."""
    with torch.random.fork_rng():
        torch.manual_seed(7)
        return nn.Sequential(
            nn.Conv2d(3, FEATURES, 3, stride=2, bias=False),
            nn.BatchNorm2d(FEATURES),
            nn.ReLU(),
            nn.AdaptiveAvgPool2d(1),
            nn.Flatten(),
        )


def examples(count, seed, dtype=np.uint8):
    """Noise, in half of the images with a coarser grain."""
    chance = np.random.default_rng(seed)
    labels = np.arange(count) % 2
    fine = chance.normal(size=(count, 16, 16))
    coarse = np.repeat(np.repeat(chance.normal(size=(count, 8, 8)), 2, 1), 2, 2)
    noise = np.where(labels[:, None, None], coarse, fine)
    peak = np.iinfo(dtype).max
    return Examples((peak * (0.5 + 0.1 * noise).clip(0, 1)).astype(dtype), labels)


TRAIN, VALIDATION = examples(40, 1), examples(20, 2)


@pytest.fixture(autouse=True)
def on_the_cpu(monkeypatch, one_thread):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


def run(settings=SETTINGS, train=TRAIN, validation=VALIDATION, **options):
    return fit(train, validation, settings, body=body(), features=FEATURES, **options)


def same(one, other):
    return one.keys() == other.keys() and all(torch.equal(one[name], other[name]) for name in one)


def untimed(history):
    return history.drop(columns="seconds")


def test_it_learns():
    _, history = run(replace(SETTINGS, epochs=8))
    assert history["epoch"].tolist() == list(range(1, 9))
    assert history["loss"].min() < history["loss"].iloc[0] / 2
    assert history["validation_auc"].max() > 0.9
    assert (history["seconds"] > 0).all()


def test_the_epoch_with_the_lowest_validation_loss_is_kept():
    labels = VALIDATION.labels.copy()
    labels[:4] = 1 - labels[:4]  # whom these mislead least is not who is the surest
    watched = Examples(VALIDATION.images, labels)
    state, history = run(replace(SETTINGS, epochs=8), validation=watched)
    best = history.loc[history["validation_loss"].idxmin()]
    assert 1 < best["epoch"] < 8
    found = scores(resnet.build(state, body=body(), features=FEATURES), watched.images)
    loss = -np.log(np.where(labels, found, 1 - found)).mean()
    assert loss == pytest.approx(best["validation_loss"], rel=1e-5)
    assert auc(labels, found) == pytest.approx(best["validation_auc"])


def test_only_batchnorm_and_the_head_learn():
    given = body()
    state, _ = fit(TRAIN, VALIDATION, SETTINGS, body=given, features=FEATURES)
    before = {f"body.{name}": value for name, value in body().state_dict().items()}
    assert state["body.0.weight"].equal(before["body.0.weight"])
    for name in ("weight", "bias", "running_mean", "running_var"):
        assert not state[f"body.1.{name}"].equal(before[f"body.1.{name}"])
    assert same({f"body.{name}": value for name, value in given.state_dict().items()}, before)


def test_statistics_of_batchnorm_are_means_over_the_training_images():
    state, _ = run(replace(SETTINGS, epochs=1))
    with torch.no_grad():
        grey = Resident(TRAIN.images, torch.device("cpu")).batch(slice(None))
        colours = (grey - state["mean"][:, None, None]) / state["std"][:, None, None]
        seen = body()[0](colours)
    assert state["body.1.running_mean"].numpy() == pytest.approx(
        seen.mean(dim=(0, 2, 3)).numpy(), rel=1e-4
    )
    assert state["body.1.running_var"].numpy() == pytest.approx(
        seen.var(dim=(0, 2, 3)).numpy(), rel=0.05
    )


def test_it_begins_with_the_weights_it_is_given():
    start = {name: value + 1 for name, value in body().state_dict().items()}
    state, _ = run(replace(SETTINGS, epochs=1), state=start | resnet.Variant(eps=1e-3).tensors())
    assert state["body.0.weight"].equal(start["0.weight"])
    assert float(state["eps"]) == pytest.approx(1e-3)


def test_a_seed_repeats_a_fit_and_leaves_other_chance_alone():
    settings = replace(SETTINGS, epochs=2, dropout=0.3)
    torch.manual_seed(1)
    expected = torch.rand(3)
    torch.manual_seed(1)
    state, history = run(settings)
    assert torch.rand(3).equal(expected)
    again, rows = run(settings)
    assert same(state, again)
    pd.testing.assert_frame_equal(untimed(history), untimed(rows), check_exact=True)
    assert not same(state, run(replace(settings, seed=4))[0])
    assert not same(state, run(replace(settings, dropout=0))[0])
    assert not same(state, run(replace(settings, weight_decay=0.1))[0])


def test_a_resumed_fit_ends_where_an_uninterrupted_one_does(tmp_path):
    settings = replace(SETTINGS, dropout=0.3, epochs=4)
    whole, history = run(settings)
    for epochs in (1, 3, 4):
        resumed, rows = run(replace(settings, epochs=epochs), folder=tmp_path / "run")
    assert same(whole, resumed)
    pd.testing.assert_frame_equal(untimed(history), untimed(rows), check_exact=True)
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["last.safetensors"]
    again, rows = run(settings, folder=tmp_path / "run")  # nothing is left to do
    assert same(whole, again) and len(rows) == 4


def test_a_checkpoint_holds_no_frozen_weights(tmp_path):
    run(replace(SETTINGS, epochs=1), folder=tmp_path)
    with safe_open(tmp_path / "last.safetensors", "pt") as stored:
        names = set(stored.keys())
    assert {"model.body.1.running_var", "best.head.0.weight", "adam.0.exp_avg_sq"} <= names
    assert not any("body.0.weight" in name for name in names)


@pytest.mark.parametrize(
    "other",
    [
        {"settings": replace(SETTINGS, learning_rate=1e-3)},
        {"train": examples(40, 9)},
        {"validation": examples(20, 9)},
        {"state": {name: value + 1 for name, value in body().state_dict().items()}},
    ],
    ids=lambda other: next(iter(other)),
)
def test_another_runs_checkpoint_is_refused(tmp_path, other):
    run(replace(SETTINGS, epochs=1), folder=tmp_path)
    with pytest.raises(ValueError, match="belongs to another run"):
        run(**other, folder=tmp_path)


def test_a_damaged_checkpoint_is_refused(tmp_path):
    run(replace(SETTINGS, epochs=1), folder=tmp_path)
    file = tmp_path / "last.safetensors"
    file.write_bytes(file.read_bytes()[:-9])
    with pytest.raises(DataError, match="delete it to begin anew"):
        run(folder=tmp_path)


def test_time_is_up_after_the_running_epoch():
    assert len(run(minutes=0)[1]) == 1
    assert len(run(replace(SETTINGS, epochs=2), minutes=10)[1]) == 2


def test_a_last_image_alone_waits_for_the_next_epoch():
    train = Examples(TRAIN.images[:9], TRAIN.labels[:9])
    _, history = run(replace(SETTINGS, epochs=2, batch=4), train)
    assert np.isfinite(history["loss"]).all()


def test_a_loss_that_is_no_number_ends_the_fit():
    with pytest.raises(Diverged, match=r"epoch 1 .* learning rate 1e\+30"):
        run(replace(SETTINGS, learning_rate=1e30))


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_images_stay_in_their_bits_and_become_shares_of_the_largest_value(dtype):
    peak = np.iinfo(dtype).max
    images = np.linspace(0, peak, 24).astype(dtype).reshape(2, 3, 4)
    images.setflags(write=False)
    kept = Resident(images, torch.device("cpu"))
    assert kept.images.element_size() == images.itemsize
    batch = kept.batch(torch.tensor([1, 0]))
    assert batch.shape == (2, 1, 3, 4) and batch.dtype == torch.float32
    assert batch[:, 0].numpy() == pytest.approx(images[::-1] / peak, abs=1e-7)
    assert float(batch.max()) == 1


def test_sixteen_bits_train_as_eight_do():
    wide = [
        Examples(part.images.astype(np.uint16) * 257, part.labels) for part in (TRAIN, VALIDATION)
    ]
    settings = replace(SETTINGS, epochs=1)
    narrow, deep = run(settings)[1], run(settings, *wide)[1]
    pd.testing.assert_frame_equal(untimed(narrow), untimed(deep), rtol=1e-3)


def test_scores_are_probabilities_whatever_the_batch():
    model = resnet.build(body=body(), features=FEATURES).train()
    one, all_at_once = (scores(model, TRAIN.images, batch) for batch in (1, 100))
    assert one.shape == (40,) and one.dtype == np.float64
    assert (one > 0).all() and (one < 1).all()
    assert one == pytest.approx(all_at_once, rel=1e-5)
    model.head[-1].bias.data += 20  # a sigmoid in single precision would be 1 for all of them
    assert len(set(scores(model, TRAIN.images))) > 30
    with pytest.raises(ValueError, match="uint8 or uint16"):
        scores(model, TRAIN.images / 255)


@pytest.mark.parametrize(
    "changes",
    [
        {"learning_rate": 0},
        {"weight_decay": -1e-9},
        {"dropout": 1},
        {"batch": 1},
        {"epochs": 0},
    ],
)
def test_settings_out_of_range(changes):
    with pytest.raises(ValueError, match="at least"):
        replace(SETTINGS, **changes)


@pytest.mark.parametrize(
    ("images", "labels"),
    [
        (TRAIN.images, TRAIN.labels[:-1]),
        (TRAIN.images, TRAIN.labels * 0),
        (TRAIN.images, TRAIN.labels * 2),
        (TRAIN.images[0], TRAIN.labels),
        (TRAIN.images / 255, TRAIN.labels),
        (TRAIN.images[:0], TRAIN.labels[:0]),
    ],
)
def test_examples_that_cannot_be_learnt_from(images, labels):
    with pytest.raises(ValueError, match=r"0 or 1|uint8 or uint16"):
        Examples(images, labels)


def imageset(labels):
    count = len(labels)
    names = [str(at) for at in range(count)]
    images = list(TRAIN.images[:count])
    return ImageSet("films", "made", images, names, names, labels, 8, "CC0", "None, 2020")


def test_examples_of_a_set():
    made = Examples.of(imageset(["BENIGN", "MALIGNANT", "BENIGN"]), "MALIGNANT")
    assert made.labels.tolist() == [0, 1, 0]
    assert np.array_equal(made.images, TRAIN.images[:3])
    for labels in (["BENIGN"] * 2, ["BENIGN", "MALIGNANT", "NONE"], ["", "MALIGNANT"]):
        with pytest.raises(ValueError, match="needs the class 'MALIGNANT' and one other"):
            Examples.of(imageset(labels), "MALIGNANT")


def test_a_key_tells_runs_apart():
    keys = {
        key_of(SETTINGS, TRAIN, body()),
        key_of(replace(SETTINGS, seed=0), TRAIN, body()),
        key_of(SETTINGS, VALIDATION, body()),
        key_of(SETTINGS, Examples(TRAIN.images, 1 - TRAIN.labels), body()),
        key_of(SETTINGS, TRAIN, nn.Linear(1, 1)),
    }
    assert len(keys) == 5
    assert key_of(SETTINGS, TRAIN, body()) in keys


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
