"""Training on a tiny network and a CPU: it learns, repeats itself, resumes and stops."""

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from helpers.schedule import Schedule, describe, throughput
from helpers.train import ResidentBatches, fit, quality, to_unit

pytestmark = pytest.mark.usefixtures("on_the_cpu")
SCHEDULE = Schedule(
    epochs=6, batch=4, learning_rate=1e-2, seed=3, measure_every=2, checkpoint_every=2
)


class Tiny(nn.Sequential):
    """A network of 100 weights with the interface of the auto-encoder."""

    def __init__(self):
        super().__init__(
            nn.Conv2d(1, 4, 3, stride=2, padding=1),
            nn.SiLU(),
            nn.ConvTranspose2d(4, 1, 2, stride=2),
        )

    def reconstruct(self, image):
        return torch.sigmoid(self(image))

    def loss(self, image):
        return nn.functional.binary_cross_entropy_with_logits(self(image), image)


@pytest.fixture(scope="module")
def images():
    row, column = np.mgrid[:16, :16]
    phases = np.arange(10)[:, None, None]
    waves = 127 + 100 * np.sin(row / 4 + phases) * np.cos(column / 5 - phases)
    return torch.from_numpy(waves.astype(np.uint8))[:, None]


def run(images, schedule=SCHEDULE, **options):
    torch.manual_seed(schedule.seed)
    model = Tiny()
    return model, fit(model, images, schedule, **options)


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def untimed(history):
    return history.drop(columns="seconds")


def test_the_loss_falls(images):
    model, history = run(images[:8], replace(SCHEDULE, epochs=30), held_out=images[8:])
    assert history["epoch"].tolist() == list(range(1, 31))
    assert (history["seconds"] > 0).all()
    lowest = float(nn.functional.binary_cross_entropy(*[to_unit(images[:8])] * 2))
    assert lowest < history["loss"].iloc[-1] < lowest + (history["loss"].iloc[0] - lowest) / 2
    measured = history.dropna()
    assert measured["epoch"].tolist() == list(range(2, 31, 2))
    assert measured["held_out_psnr"].iloc[-1] > measured["held_out_psnr"].iloc[0] + 1
    assert measured["held_out_psnr"].iloc[-1] == pytest.approx(
        quality(model, images[8:], 2)["held_out_psnr"], rel=1e-5
    )
    assert not model.training


def test_the_last_epoch_is_always_measured(images):
    _, history = run(images, replace(SCHEDULE, epochs=5), held_out=images)
    assert history.dropna()["epoch"].tolist() == [2, 4, 5]


@pytest.mark.parametrize("augment", [False, True])
def test_a_seed_repeats_a_fit_and_another_does_not(images, augment):
    schedule = replace(SCHEDULE, augment=augment)
    model, history = run(images, schedule)
    twin, again = run(images, schedule)
    assert same(model, twin)
    pd.testing.assert_frame_equal(untimed(history), untimed(again), check_exact=True)
    assert not same(model, run(images, replace(schedule, seed=4))[0])
    assert not same(model, run(images, replace(schedule, augment=not augment))[0])


@pytest.mark.parametrize("augment", [False, True])
def test_a_resumed_fit_ends_where_an_uninterrupted_one_does(images, tmp_path, augment):
    schedule = replace(SCHEDULE, augment=augment)
    whole, history = run(images, schedule, held_out=images[:2])
    for epochs in (2, 5, 6):  # twice interrupted, the second time after its last checkpoint
        part = replace(schedule, epochs=epochs)
        resumed, rows = run(images, part, held_out=images[:2], folder=tmp_path)
        if epochs == 2:
            saved = tmp_path / "last.ckpt"
            assert saved.is_file() and not same(whole, resumed)
    assert same(whole, resumed)
    pd.testing.assert_frame_equal(untimed(history), untimed(rows), check_exact=True)
    assert [path.name for path in tmp_path.iterdir()] == ["last.ckpt"]


def test_a_finished_fit_is_not_trained_again(images, tmp_path):
    model, history = run(images, folder=tmp_path)
    torch.manual_seed(99)
    other = Tiny()
    pd.testing.assert_frame_equal(history, fit(other, images, SCHEDULE, folder=tmp_path))
    assert same(model, other)


def test_time_is_up_after_the_running_epoch(images):
    model, history = run(images, replace(SCHEDULE, epochs=1000, minutes=0))
    assert history["epoch"].tolist() == [1]
    assert same(model, run(images, replace(SCHEDULE, epochs=1))[0])
    assert len(run(images, replace(SCHEDULE, minutes=10))[1]) == SCHEDULE.epochs


def test_an_epoch_shows_every_image_once_in_its_own_order(images):
    def epoch(number, **changes):
        return list(ResidentBatches(images, replace(SCHEDULE, **changes), lambda: number))

    batches = epoch(0)
    assert [len(batch) for batch in batches] == [4, 4, 2]
    assert len(batches) == len(ResidentBatches(images, SCHEDULE, lambda: 0))
    shown = torch.cat(batches)
    assert sorted(shown.sum(dim=(1, 2, 3)).tolist()) == pytest.approx(
        sorted(to_unit(images).sum(dim=(1, 2, 3)).tolist())
    )
    assert torch.equal(shown, torch.cat(epoch(0)))
    assert not torch.equal(shown, torch.cat(epoch(1)))
    assert not torch.equal(shown, torch.cat(epoch(0, seed=4)))
    views = torch.cat(epoch(0, augment=True))
    assert views.shape == shown.shape and not torch.equal(views, shown)
    assert torch.equal(views, torch.cat(epoch(0, augment=True)))
    assert not torch.equal(views, torch.cat(epoch(1, augment=True)))


def test_every_epoch_of_a_fit_has_an_order_of_its_own(images, tmp_path):
    class Watched(Tiny):
        def loss(self, image):
            seen.extend(image[:, 0, 0, 0].tolist())
            return super().loss(image)

    def orders(epochs, folder=None):
        seen.clear()
        fit(Watched(), images, replace(SCHEDULE, epochs=epochs), folder=folder)
        return [tuple(seen[i : i + len(images)]) for i in range(0, len(seen), len(images))]

    seen: list[float] = []
    whole = orders(4)
    assert len(set(whole)) == 4 and len({tuple(sorted(order)) for order in whole}) == 1
    assert orders(2, tmp_path) + orders(4, tmp_path) == whole  # also across an interruption


def test_grey_values_become_shares_of_255():
    unit = to_unit(torch.tensor([0, 51, 255], dtype=torch.uint8).reshape(3, 1, 1, 1))
    assert unit.flatten().tolist() == pytest.approx([0, 0.2, 1])


def test_quality_is_a_mean_over_images_whatever_the_batch():
    class Grey(Tiny):
        def forward(self, image):
            return torch.zeros_like(image)  # logits of 0.5

    images = torch.tensor([0, 255, 0], dtype=torch.uint8).reshape(3, 1, 1, 1).expand(3, 1, 4, 4)
    images = images.clone()
    images[2] = 102  # 0.4: an error of 0.1, 20 dB
    for batch in (1, 2, 3):
        measured = quality(Grey(), images, batch)
        assert measured["held_out_psnr"] == pytest.approx(
            (2 * -20 * math.log10(0.5) + 20) / 3, rel=1e-5
        )
        assert measured["held_out_loss"] == pytest.approx(math.log(2), rel=1e-6)


def test_speed_comes_from_the_median_epoch():
    history = pd.DataFrame({"seconds": [60.0, 2.0, 2.0, 2.5, 1.0]})
    assert throughput(history, 100) == 50
    assert describe(SCHEDULE)["checkpoint_every"] == 2
