"""The classifier learns, keeps its best epoch and resumes exactly."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from safetensors import safe_open
from toy_classifier import FEATURES, SETTINGS, TRAIN, VALIDATION, body, examples, run

from helpers.errors import DataError
from helpers.experiments.ldm_mammo.classifier import Diverged, Examples, fit, scores
from helpers.experiments.ldm_mammo.classifier_data import Resident
from helpers.models import resnet
from helpers.roc import auc

pytestmark = pytest.mark.usefixtures("on_the_cpu")


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
