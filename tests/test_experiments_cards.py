"""Cards of trained weights: what they say of images, runs and curves."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from helpers.data import ImageSet
from helpers.experiments import cards
from helpers.schedule import Schedule

SCHEDULE = Schedule(3)


def make(patients, seed=0):
    count = len(patients)
    return ImageSet(
        name="toy",
        source="made",
        images=tuple(np.random.default_rng(seed).integers(0, 256, (count, 2, 2), np.uint8)),
        ids=tuple(f"image{i}" for i in range(count)),
        patients=tuple(patients),
        labels=("",) * count,
        bit_depth=8,
        licence="CC0",
        citation="One 2020",
    )


def test_few_patients_are_named_and_many_are_counted():
    few = cards.facts(make("bab"))
    assert few["patients"] == ["a", "b"] and few["images"] == 3
    assert (few["set"], few["source"], few["licence"]) == ("toy", "made", "CC0")
    assert few["citation"] == "One 2020" and few["fingerprint"] == make("bab").fingerprint
    assert len(cards.facts(make([f"p{i}" for i in range(50)]))["patients"]) == 50
    many = cards.facts(make([f"p{i // 2}" for i in range(102)]))
    assert (many["patients"], many["images"]) == (51, 102)
    json.dumps([few, many])


def test_a_key_belongs_to_one_run():
    images = make("ab")
    keys = [
        cards.key(SCHEDULE, [images]),
        cards.key(replace(SCHEDULE, seed=1), [images]),
        cards.key(replace(SCHEDULE, epochs=2), [images]),
        cards.key(SCHEDULE, [images, images]),
        cards.key(SCHEDULE, [make("ab", seed=1)]),
        cards.key(SCHEDULE, [images], "cnn1"),
        cards.key(SCHEDULE, [images], "cnn1", ""),
        cards.key(SCHEDULE, [images], "cnn1", 0.5),
    ]
    assert len(set(keys)) == len(keys)
    assert keys[0] == cards.key(Schedule(3), [make("ab")])
    assert keys[0] == cards.key(replace(SCHEDULE, minutes=1.0), [images])  # it may go on
    assert {len(key) for key in keys} == {16} and all(key.isalnum() for key in keys)


def test_only_measured_rows_are_kept_and_rounded():
    history = pd.DataFrame(
        {
            "epoch": [1, 2, 3],
            "loss": [0.123456789, 0.1, 1 / 3e6],
            "seconds": [1.0, 2.0, 3.0],
            "held_out_loss": [np.nan, 0.25, 0.2],
        }
    )
    assert cards.thinned(history) == [
        {"epoch": 2, "loss": 0.1, "held_out_loss": 0.25},
        {"epoch": 3, "loss": pytest.approx(3.33333e-07, abs=1e-16), "held_out_loss": 0.2},
    ]
    assert len(cards.thinned(history.drop(columns="held_out_loss"))) == 3


def test_a_card_says_when_and_where():
    said = cards.when_and_where()
    assert set(said) == {"device", "versions", "date"}
    assert said["device"] and "numpy" in said["versions"]
    assert pd.Timestamp(said["date"]).strftime("%Y-%m-%d") == said["date"]
