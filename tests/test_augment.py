import pytest
import torch

from helpers.augment import random_views


def views(images, seed):
    return random_views(images, torch.Generator().manual_seed(seed))


@pytest.fixture
def half_bright():
    images = torch.zeros(64, 1, 32, 32)
    images[..., :16] = 0.5
    return images


def test_views_are_images_of_their_own(half_bright):
    made = views(half_bright, 0)
    assert made.shape == half_bright.shape and made.dtype == half_bright.dtype
    assert made.min() >= 0 and made.max() <= 1
    assert len(torch.unique(made.flatten(1), dim=0)) == 64  # no two images get the same view
    assert not torch.equal(made, half_bright)


def test_the_seed_decides(half_bright):
    assert torch.equal(views(half_bright, 1), views(half_bright, 1))
    assert not torch.equal(views(half_bright, 1), views(half_bright, 2))


def test_views_stay_within_their_limits():
    centred = torch.zeros(200, 1, 64, 64)
    centred[..., 24:40, 24:40] = 0.5  # 256 pixels that no shift moves out of sight
    made = views(centred, 3)
    bright = made.amax(dim=(1, 2, 3))
    assert bright.min() >= 0.5**1.6 - 1e-3 and bright.max() <= 0.5**0.6 + 1e-3
    area = (made > made.amax(dim=(1, 2, 3), keepdim=True) / 2).sum(dim=(1, 2, 3)) / 256
    assert 0.8**2 * 0.8 < area.min() < 0.8 and 1.8 < area.max() < 1.5**2 * 1.2
    assert not views(torch.zeros(4, 1, 8, 8), 4).any()  # no light from nowhere
