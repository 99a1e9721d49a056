"""`bench train`: real trainings of tiny sizes are timed, and their operations counted."""

import json

import numpy as np
import pytest
import torch
from torch import nn

from helpers.bench import jobs
from helpers.bench import train as b
from helpers.bench.jobs import Job
from helpers.cli import main
from helpers.lossless import THREAD_VARIABLES
from helpers.train import matrix_rate

pytestmark = pytest.mark.usefixtures("on_the_cpu")
TINY = {"cae": ("jobs", "auto_encoder", {"side": 32, "batch": 2})}


def test_a_row_a_model_from_its_own_process(monkeypatch):
    for name in THREAD_VARIABLES:
        monkeypatch.setenv(name, "1")  # the process of its own takes all threads it may have
    rates = {name: b._matrix_rate(name, 256) for name in ("float32", "bfloat16")}
    monkeypatch.setattr(b, "matrix_rates", lambda: rates)
    table, left_out = b.train(["cae"], 0.05, TINY)
    assert not left_out and list(table) == b.COLUMNS
    row = table.loc[0]
    assert row["shape"] == [2, 1, 32, 32] and row["unit"] == "images"
    assert row["parameters"] == 5_477_121 and row["step_s"] > 0
    assert row["units_per_second"] == pytest.approx(2 / row["step_s"])
    assert row["gflops"] == pytest.approx(row["gflop_step"] / row["step_s"])
    assert row["share"] == pytest.approx(row["gflops"] / rates["float32"]) and row["share"] > 0
    assert "GFLOP/s in float32" in b._text(table)


@pytest.mark.parametrize(
    ("function", "options", "shape"),
    [
        ("upscaler", {"network": "superres", "side": 32, "batch": 2}, (2, 1, 32, 32)),
        ("upscaler", {"network": "unet", "side": 64, "batch": 1}, (1, 1, 64, 64)),
        ("classifier", {"side": 32, "batch": 2}, (2, 1, 32, 32)),
        ("lossy", {"side": 32, "batch": 1}, (1, 1, 32, 32)),
    ],
)
def test_every_training_takes_steps(function, options, shape):
    job = getattr(jobs, function)(**options)
    assert job.shape == shape and job.parameters > 100_000
    assert all(second > 0 for second in job.seconds(2)) and job.operations() > 1e6


def test_a_keras_training_is_timed_and_counted():
    found = b._measured(
        "keras_jobs", "mammography", {"network": "vae", "side": 16, "batch": 2}, 0.01
    )
    assert found["shape"] == [2, 1, 16, 16] and found["framework"].startswith("Keras, ")
    assert found["steps_timed"] >= 2 * jobs.STEPS


def test_operations_of_keras_networks_are_those_pytorch_counts():
    from helpers.bench.keras_jobs import operations
    from helpers.keras_setup import keras

    layers = keras.layers
    image = keras.Input((8, 8, 1))
    value = layers.Conv2D(4, 3, strides=2, padding="same")(image)
    inner = keras.Input((4, 4, 4))
    inside = keras.Model(inner, layers.Conv2DTranspose(3, 3, strides=2, padding="same")(inner))
    value = layers.Dense(5)(layers.Flatten()(inside(layers.LeakyReLU()(value))))
    twin = nn.Sequential(
        nn.Conv2d(1, 4, 3, 2, 1),
        nn.ConvTranspose2d(4, 3, 3, 2, 1, 1),
        nn.Flatten(),
        nn.Linear(3 * 8 * 8, 5),
    )
    step = lambda: twin(torch.zeros(1, 1, 8, 8)).sum().backward()  # noqa: E731
    assert operations(keras.Model(image, value)) == jobs.counted(step)


class Made:
    """A training that takes exactly as long as it says."""

    def __init__(self, cold, warm):
        self.cold, self.warm, self.asked = cold, warm, []

    def seconds(self, count):
        self.asked.append(count)
        return [self.cold] + [self.warm] * (count - 1)

    def job(self, steps=1):
        return Job("", "float32", (1,), "images", 1, steps, self.seconds, lambda: 0)


@pytest.mark.parametrize(("seconds", "asked"), [(0.1, [3]), (2.0, [3, 1 + 8]), (0.5, [3])])
def test_the_cold_start_is_not_counted_and_the_time_is_kept(seconds, asked):
    made = Made(30.0, 0.25)
    found = b.timed(made.job(), seconds)
    assert made.asked == asked and set(found) == {0.25}
    assert sum(found) >= seconds


def test_steps_that_are_timed_together_count_together():
    made = Made(30.0, 0.25)
    assert len(b.timed(made.job(steps=4), 2.0)) == 2 and made.asked == [3]


def test_the_rate_of_a_matrix_product_has_a_type():
    assert matrix_rate(64, torch.bfloat16) > 0 and matrix_rate(64) > 0


def test_what_does_not_fit_is_left_out(monkeypatch, capsys):
    monkeypatch.setattr(b, "available", lambda: 1.0)
    monkeypatch.setattr(b, "matrix_rates", lambda: {"float32": 1.0, "bfloat16": 1.0})
    assert main(["bench", "train", "--models", "dense", "--json"]) == 0
    told = capsys.readouterr()
    facts = json.loads(told.out)
    assert facts["train"] == [] and facts["left_out"][0]["model"] == "dense"
    assert "dense left out: it needs" in told.err and "images" not in facts
    assert b._measured("jobs", "upscaler", {"network": "unet", "side": 30}, 0.1).startswith(
        "Shapes"
    )


def test_bad_input_is_one_sentence(capsys):
    for options, told in (
        (["train", "--models", "vgg"], "no model 'vgg'; choose among cae"),
        (["train", "--seconds", "0"], "more than 0"),
        (["train", "--codecs", "jpeg"], "choose with --models"),
        (["rd", "--models", "cae"], "is for bench train"),
    ):
        assert main(["bench", *options]) == 2
        assert told in capsys.readouterr().err


def test_memory_is_told_in_gib():
    assert 0.01 < b.available() < 1e5 or np.isinf(b.available())
