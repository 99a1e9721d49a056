"""Training with Keras on a tiny network: it learns, repeats itself, resumes and stops."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from helpers.keras_setup import keras
from helpers.models.losses import mse_loss
from helpers.schedule import Schedule
from helpers.train_keras import delta_to_unit, fit, grey_to_unit, quality

SCHEDULE = Schedule(epochs=6, batch=4, learning_rate=1e-2, seed=3, measure_every=2)
COLUMNS = ["epoch", "loss", "seconds", "held_out_loss", "held_out_psnr"]


@pytest.fixture(scope="module")
def images():
    row, column = np.mgrid[:16, :16]
    phases = np.arange(10)[:, None, None]
    waves = 127 + 100 * np.sin(row / 4 + phases) * np.cos(column / 5 - phases)
    return waves.astype(np.uint8)


def tiny(seed):
    """Build an auto-encoder of some 200 weights, with BatchNorm as in the chapter's."""
    keras.utils.set_random_seed(seed)
    image = value = keras.Input((16, 16, 1))
    value = keras.layers.Conv2D(4, 3, strides=2, padding="same")(value)
    value = keras.layers.LeakyReLU()(keras.layers.BatchNormalization(momentum=0.8)(value))
    value = keras.layers.Conv2DTranspose(1, 2, strides=2, activation="sigmoid")(value)
    return keras.Model(image, value)


def run(images, schedule=SCHEDULE, **options):
    model = tiny(schedule.seed)
    return model, fit(model, images, schedule, mse_loss, **options)


def same(one, other):
    pairs = zip(one.get_weights(), other.get_weights(), strict=True)
    return all(np.array_equal(a, b) for a, b in pairs)


def untimed(history):
    return history.drop(columns="seconds")


@pytest.fixture(scope="module")
def whole(images):
    """Run once without interruption: what the other runs are held against."""
    return run(images, held_out=images[:2])


def test_the_loss_falls(images):
    schedule = replace(SCHEDULE, epochs=16, measure_every=4)
    model, history = run(images[:8], schedule, held_out=images[8:])
    assert list(history.columns) == COLUMNS
    assert history["epoch"].tolist() == list(range(1, 17))
    assert (history["seconds"] > 0).all()
    assert 0 < history["loss"].iloc[-1] < history["loss"].iloc[0] / 2
    measured = history.dropna()
    assert measured["epoch"].tolist() == [4, 8, 12, 16]
    assert measured["held_out_psnr"].iloc[-1] > measured["held_out_psnr"].iloc[0] + 1
    last = quality(model, grey_to_unit(images[8:]), 2)
    for name, value in last.items():
        assert measured[name].iloc[-1] == pytest.approx(value, rel=1e-4)
    # what the held-out loss is: the loss of what the network gives back, an error it alone made
    unit = grey_to_unit(images[8:])
    rebuilt = keras.ops.convert_to_numpy(model(unit, training=False))
    assert last["held_out_loss"] == pytest.approx(np.mean((rebuilt - unit) ** 2), rel=1e-4)


def test_a_seed_repeats_a_fit_and_another_does_not(images, whole):
    model, history = whole
    twin, again = run(images, held_out=images[:2])
    assert same(model, twin)
    pd.testing.assert_frame_equal(untimed(history), untimed(again), check_exact=True)
    other = tiny(SCHEDULE.seed)  # the same first weights, another order of the images
    fit(other, images, replace(SCHEDULE, seed=4), mse_loss)
    assert not same(model, other)


def test_a_resumed_fit_ends_where_an_uninterrupted_one_does(images, whole, tmp_path):
    model, history = whole
    folder = tmp_path / "deep" / "run"
    for epochs in (3, 6):
        part = replace(SCHEDULE, epochs=epochs)
        resumed, rows = run(images, part, held_out=images[:2], folder=folder)
        assert len(rows) == epochs
        if epochs == 3:
            assert not same(model, resumed)
            assert rows.dropna()["epoch"].tolist() == [2, 3]  # the last epoch is always measured
    assert same(model, resumed)
    rows.loc[2, ["held_out_loss", "held_out_psnr"]] = np.nan
    pd.testing.assert_frame_equal(untimed(history), untimed(rows), check_exact=True)


def test_a_fit_killed_before_a_checkpoint_goes_on_from_the_one_before(
    images, whole, tmp_path, monkeypatch
):
    class Killed(Exception):
        pass

    def kill(text):
        if "epoch 4/" in text:  # the line is shown before the checkpoint is written
            raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("helpers.train_keras.live", kill)
        with pytest.raises(Killed):
            run(images, held_out=images[:2], folder=tmp_path)
    resumed, rows = run(images, held_out=images[:2], folder=tmp_path)
    assert same(whole[0], resumed)
    pd.testing.assert_frame_equal(untimed(whole[1]), untimed(rows), check_exact=True)


def test_a_fit_killed_while_it_writes_a_checkpoint_goes_on_from_the_one_before(
    images, whole, tmp_path
):
    often = replace(SCHEDULE, checkpoint_every=1)
    run(images, replace(often, epochs=3), folder=tmp_path)
    file = tmp_path / "latest.weights.h5"
    file.write_bytes(file.read_bytes()[:1000])
    resumed, rows = run(images, often, folder=tmp_path)
    assert same(whole[0], resumed)
    assert rows["epoch"].tolist() == list(range(1, 7))


def test_random_views_are_refused(images):
    with pytest.raises(ValueError, match=r"Random views are for helpers\.train only"):
        run(images, replace(SCHEDULE, augment=True))


def test_a_finished_fit_is_not_trained_again(images, whole, tmp_path):
    model, history = run(images, folder=tmp_path)
    assert same(model, whole[0])  # nor does watching change anything
    assert list(history.columns) == COLUMNS[:3]
    other = tiny(99)
    again = fit(other, images, SCHEDULE, mse_loss, folder=tmp_path)
    pd.testing.assert_frame_equal(history, again)
    assert same(model, other)
    # without the folder it is another fit, and begins with the first epoch
    history = fit(other, images, replace(SCHEDULE, epochs=2), mse_loss)
    assert history["epoch"].tolist() == [1, 2] and not same(model, other)


def test_time_is_up_after_the_running_epoch(images):
    model, history = run(images, replace(SCHEDULE, epochs=1000, minutes=0))
    assert history["epoch"].tolist() == [1]
    history = fit(model, images, replace(SCHEDULE, epochs=2, minutes=10), mse_loss)
    assert len(history) == 2


def test_every_epoch_shows_every_difference_once_in_an_order_of_its_own(images):
    marked = images.astype(np.int16) - images[::-1]
    marked[:, 0, 0] = range(-5, 5)
    seen: list[list[int]] = []

    def scale(batch):
        seen.append(batch[:, 0, 0].tolist())
        return delta_to_unit(batch)

    _, history = run(marked, replace(SCHEDULE, epochs=3), scale=scale)
    shown = seen[-9:]  # Keras looks at a first batch before it begins
    assert [len(batch) for batch in shown] == [4, 4, 2] * 3
    orders = [tuple(a + b + c) for a, b, c in zip(*[iter(shown)] * 3, strict=True)]
    assert len(set(orders)) == 3
    assert all(sorted(order) == list(range(-5, 5)) for order in orders)
    assert 0 < history["loss"].iloc[-1] < history["loss"].iloc[0] < 0.5


def test_grey_values_become_shares_of_255():
    unit = grey_to_unit(np.uint8([[[0, 51, 255]]]))
    assert unit.shape == (1, 1, 3, 1) and unit.dtype == np.float32
    assert unit.ravel().tolist() == pytest.approx([0, 0.2, 1])


def test_differences_become_shares_of_510():
    unit = delta_to_unit(np.int16([[[-255, -51, 0, 51, 255]]]))
    assert unit.shape == (1, 1, 5, 1) and unit.dtype == np.float32
    assert unit.ravel().tolist() == pytest.approx([0, 0.4, 0.5, 0.6, 1])


def test_quality_is_a_mean_over_images_whatever_the_batch():
    image = keras.Input((4, 4, 1))
    grey = keras.layers.Conv2D(1, 1, kernel_initializer="zeros", bias_initializer="zeros")
    model = keras.Model(image, keras.layers.Activation("sigmoid")(grey(image)))  # gives 0.5
    model.compile(loss=mse_loss)
    unit = np.stack([np.full((4, 4, 1), value, np.float32) for value in (0, 1, 0.4)])
    for batch in (1, 2, 3):
        measured = quality(model, unit, batch)
        assert measured["held_out_loss"] == pytest.approx((0.25 + 0.25 + 0.01) / 3, rel=1e-5)
        assert measured["held_out_psnr"] == pytest.approx(
            (2 * -20 * np.log10(0.5) + 20) / 3, rel=1e-5
        )


class Detour(keras.callbacks.Callback):
    """Spoils the network after the second epoch, so that a later one has a higher loss."""

    def on_epoch_begin(self, epoch, logs=None):
        if epoch == 3:
            self.model.set_weights([value + 3 for value in self.model.get_weights()])


def take_the_detour(monkeypatch):
    """Let every fit from here on be spoilt."""
    made = keras.Model.fit
    monkeypatch.setattr(
        keras.Model,
        "fit",
        lambda self, *data, callbacks, **more: made(
            self, *data, callbacks=[Detour(), *callbacks], **more
        ),
    )


def test_the_epoch_with_the_lowest_loss_is_kept(images, monkeypatch):
    """Two fits that differ after epoch 3 only end with the same variables."""
    short, _ = run(images, replace(SCHEDULE, epochs=3), lowest=True)
    take_the_detour(monkeypatch)
    schedule = replace(SCHEDULE, epochs=4)
    model, history = run(images, schedule, lowest=True)
    assert history["loss"].idxmin() == 2 and history["loss"].iloc[3] > history["loss"].iloc[2]
    assert same(model, short)
    last, _ = run(images, schedule)
    assert not same(last, short)


def test_the_best_epoch_survives_an_interruption(images, tmp_path, monkeypatch):
    schedule = replace(SCHEDULE, checkpoint_every=1)
    take_the_detour(monkeypatch)
    best, _ = run(images, replace(schedule, epochs=4), lowest=True, folder=tmp_path / "one")
    again = tiny(7)  # another network, which finds the finished run
    history = fit(
        again,
        images,
        replace(schedule, epochs=4),
        mse_loss,
        lowest=True,
        folder=tmp_path / "one",
    )
    assert len(history) == 4 and history["loss"].idxmin() == 2
    assert same(again, best)


def test_a_training_that_diverges_is_stopped_and_told(images, tmp_path):
    def lost(y_true, y_pred):
        return keras.ops.log(keras.ops.mean(y_pred - y_true - 9, axis=(1, 2, 3)))

    with pytest.raises(ValueError, match=r"epoch 1 is nan: .* rate 0\.01; train with a lower one"):
        fit(tiny(1), images, SCHEDULE, lost, folder=tmp_path)
    assert not (tmp_path / "rows.json").exists()
