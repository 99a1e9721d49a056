"""A body of one convolution and images it can tell apart: what tests of the classifier train."""

import numpy as np
import torch
from torch import nn

from helpers.experiments.ldm_mammo.classifier import Examples, Settings, fit

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


def run(settings=SETTINGS, train=TRAIN, validation=VALIDATION, **options):
    return fit(train, validation, settings, body=body(), features=FEATURES, **options)
