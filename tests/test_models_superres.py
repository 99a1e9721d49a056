"""The super-resolution network: bicubic before training, better than bicubic after it."""

import numpy as np
import pytest
import torch
from PIL import Image

from helpers.models.cae import count_parameters
from helpers.models.superres import SuperResolution, enlarge

pytestmark = pytest.mark.usefixtures("one_thread")


def images(count, side, seed=0):
    return torch.rand(count, 1, side, side, generator=torch.Generator().manual_seed(seed))


def stripes(count, side):
    """Oblique stripes, about 3 pixels wide, that a bicubic filter blurs."""
    rng = np.random.default_rng(0)
    y, x = np.mgrid[:side, :side]
    waves = [np.sin((x + rng.uniform(-1, 1) * y) + rng.uniform(0, 6)) for _ in range(count)]
    return torch.from_numpy(np.array(waves, np.float32) / 2 + 0.5)[:, None]


@pytest.mark.parametrize("shape", [(8, 8), (9, 31)])
def test_an_untrained_network_is_pillows_bicubic_filter(shape):
    low = images(2, 31)[..., : shape[0], : shape[1]]
    large = SuperResolution(8, 2)(low)
    assert torch.equal(large, enlarge(low))
    for before, after in zip(low[:, 0], large[:, 0], strict=True):
        size = (2 * shape[1], 2 * shape[0])
        filtered = Image.fromarray(before.numpy()).resize(size, Image.Resampling.BICUBIC)
        assert np.abs(after.detach().numpy() - np.asarray(filtered)).max() < 1e-5


def test_parameters_add_up():
    convolutions = [(1, 48), *[(48, 48)] * 21, (48, 4)]
    by_hand = sum(9 * before * after + after for before, after in convolutions)
    assert count_parameters(SuperResolution()) == by_hand == 438_676


def test_the_loss_is_the_squared_error_against_the_true_image():
    low, high = images(2, 8), images(2, 16, seed=1)
    by_hand = np.square(enlarge(low).numpy() - high.numpy()).mean()
    assert float(SuperResolution(8, 1).loss(low, high).detach()) == pytest.approx(float(by_hand))


@pytest.mark.parametrize("shape", [(2, 1, 8, 8), (1, 1, 16, 16), (2, 1, 16, 1), (2, 16, 16)])
def test_a_loss_against_another_size_is_refused(shape):
    with pytest.raises(ValueError, match="not twice the size"):
        SuperResolution(8, 1).loss(images(2, 8), torch.zeros(shape))


def test_training_beats_the_filter_on_images_not_seen():
    high = stripes(24, 24)
    low = torch.nn.functional.interpolate(high, scale_factor=0.5, mode="bicubic", antialias=True)
    torch.manual_seed(0)
    network = SuperResolution(8, 1)
    start = float(network.loss(low[16:], high[16:]).detach())
    optimiser = torch.optim.Adam(network.parameters(), lr=5e-3)
    for _ in range(60):
        optimiser.zero_grad()
        network.loss(low[:16], high[:16]).backward()
        optimiser.step()
    assert float(network.loss(low[16:], high[16:]).detach()) < 0.8 * start
