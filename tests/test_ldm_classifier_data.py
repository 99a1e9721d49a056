"""What a classifier's training reads: images in their own bits, labels, and the run's own key."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn
from toy_classifier import SETTINGS, TRAIN, VALIDATION, body

from helpers.data import ImageSet
from helpers.experiments.ldm_mammo.classifier_data import Examples, Resident, key_of

pytestmark = pytest.mark.usefixtures("on_the_cpu")


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
