"""The second loss of the lossy codec: how it is priced, and that it teaches."""

import copy

import numpy as np
import pytest
import torch
from codec_images import phantom

from helpers.codecs.hyperprior.model import trained
from helpers.experiments.beyond import lossy, similarity
from helpers.metrics import ms_ssim
from helpers.models.hyperprior.layout import MIDDLE, price

pytestmark = pytest.mark.usefixtures("on_the_cpu")


def batch(count=1):
    films = np.stack([phantom(192, seed=k) for k in range(count)])
    return torch.from_numpy(films.astype(np.float32))[:, None] - MIDDLE


class Made(torch.nn.Module):
    """A codec that adds noise, more at low rates, and takes one bit a pixel."""

    def forward(self, pictures, level, rounded):
        noise = torch.randn(pictures.shape, generator=torch.Generator().manual_seed(0))
        return torch.ones(len(level)), pictures + noise * (30 - 20 * level[:, None, None, None])


@pytest.mark.parametrize("grain", [2, 12, 40])
def test_the_loss_is_that_of_the_measure_in_any_precision(grain):
    picture = batch()
    assert float(similarity.lost(picture, picture)) == pytest.approx(0, abs=1e-6)
    noisy = (picture + grain * torch.randn(picture.shape)).round().clamp(-128, 127)
    pixels = ((part[0, 0] + MIDDLE).numpy().astype(np.uint8) for part in (picture, noisy))
    theirs = 1 - ms_ssim(*pixels, 255)
    assert float(similarity.lost(noisy, picture)) == pytest.approx(theirs, rel=1e-3)
    with torch.autocast("cpu", torch.bfloat16):
        assert float(similarity.lost(noisy, picture)) == pytest.approx(theirs, rel=1e-3)


def test_both_losses_cost_the_same_where_the_exchange_was_measured():
    pictures = batch(2)
    worth = similarity.exchange(Made(), iter([pictures] * 100))
    assert worth.shape == (similarity.KNOTS,) and (worth > 0).all()
    level = torch.tensor([0.5, 0.5])
    rate, made = Made()(pictures, level, True)
    squared = rate + price(level) * (made - pictures).square().mean((1, 2, 3))
    found = 2 ** similarity.Similarity(worth)(Made(), pictures, level, True) - 0.02
    assert float(found.mean()) == pytest.approx(float(squared.mean()), rel=0.02)


def test_between_two_rates_the_price_lies_between_theirs():
    pictures = batch()
    loss = similarity.Similarity(torch.tensor([100.0, 400.0, 100.0]))
    levels = [torch.tensor([part]) for part in (0.25, 0.5, 0.75, 1.0)]
    lost = [similarity.lost(Made()(pictures, level, True)[1], pictures) for level in levels]
    paid = [2 ** loss(Made(), pictures, level, True) - 1.02 for level in levels]
    worth = [
        float(bits / price(level) / part)
        for bits, level, part in zip(paid, levels, lost, strict=True)
    ]
    assert worth == pytest.approx([200, 400, 200, 100], rel=1e-3)


def test_it_teaches_the_network():
    torch.manual_seed(0)
    net = copy.deepcopy(trained("hyper-mse").network).to(memory_format=torch.channels_last)
    loss = similarity.Similarity(torch.full((3,), 2000.0))
    pictures = batch().contiguous(memory_format=torch.channels_last)
    optimisers = lossy.optimisers_of(net, 3e-4)
    level = torch.tensor([0.3])

    def now():
        with torch.no_grad():
            return float(loss(net, pictures, level, True))

    before = now()
    for _ in range(6):
        lossy.descend(net, loss(net, pictures, level, True).mean(), optimisers)
    assert now() < before
    assert "2000, 2000, 2000" in str(loss)
