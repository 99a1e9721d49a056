"""The context network in floats: its loss is a code length, and what it begins with."""

import numpy as np
import pytest
import torch
from codec_images import phantom
from context_networks import COMPONENTS, FIRST, SECOND, draw, texture

from helpers.codecs.causal import network, walk
from helpers.codecs.causal.scene import FEATURES, LIMIT
from helpers.codecs.causal.tables import LEVELS
from helpers.models.context import ContextNet

pytestmark = pytest.mark.usefixtures("on_the_cpu")
GROUND = 2.0**-20


def seen(values):
    features, facts = walk.observe(values, np.ones(values.shape, bool))
    return torch.from_numpy(features), torch.from_numpy(facts)


def drawn(**options):
    model = ContextNet(FIRST, SECOND, COMPONENTS)
    state = {name: torch.from_numpy(values) for name, values in draw(**options).items()}
    model.load_state_dict(state)  # strict: the drawn weights are those of this network
    return model


def bits(model, *pool):
    with torch.no_grad():
        return model.bits(*pool).double().numpy()


def test_the_book_networks_have_one_size():
    count = FEATURES * 128 + 128 + 128 * 64 + 64 + (64 + FEATURES) * 9 + 9
    assert sum(values.numel() for values in ContextNet().parameters()) == count
    assert set(ContextNet().state_dict()) == {
        f"{layer}.{part}" for layer in ("first", "second", "last") for part in ("weight", "bias")
    }
    network.load({name: values.numpy() for name, values in ContextNet().state_dict().items()})


def test_an_untrained_network_is_the_plain_mixture():
    """Logistic curves of three widths around the mean guess, equally likely."""
    values = phantom(24).astype(int)
    features, facts = seen(values)
    guess, size, pixel, top = facts.double().numpy().T
    widths = (0.55 * 2 ** (size / 8) / 16 + 0.02) * np.exp([[-0.8], [0.0], [0.8]])
    edges = pixel + np.array([[[-0.5]], [[0.5]]])
    below, above = 1 / (1 + np.exp(-(edges - guess / 16) / np.maximum(widths, np.exp(-4))))
    chance = np.where(pixel >= top, 1, above) - np.where(pixel <= 0, 0, below)
    expected = -np.log2((1 - 2**-12) * chance.mean(0) + GROUND)
    assert np.abs(bits(ContextNet(), features, facts) - expected).max() < 0.01
    assert top[0] == values.max() and (pixel == top).any() and (pixel == 0).any()


def test_all_values_of_a_pixel_share_one_chance():
    """The lengths are those of a code: two to their power adds up to one."""
    values = texture((12, 16)).astype(int)
    features, facts = seen(values - values.min())
    top = int(facts[0, 3])
    for model in (ContextNet(), drawn()):
        total = 0.0
        for pixel in range(top + 1):
            other = facts.clone()
            other[:, 2] = pixel
            lengths = bits(model, features, other)
            assert lengths.min() > 0 and lengths.max() <= 20
            total += 2.0**-lengths
        assert total == pytest.approx(1 - 2**-12 + (top + 1) * GROUND, abs=2e-4)


def test_the_length_is_what_the_network_alone_codes():
    """Whole numbers and a real code cost little more than the floats promise."""
    values = phantom(48).astype(int)
    model = drawn()
    promised = bits(model, *seen(values)).sum() / 8
    net = network.load({name: v.numpy() for name, v in model.state_dict().items()})
    coded = len(walk.encode(values, net, (False,) * 5))
    assert 0.98 * promised < coded < 1.05 * promised


def test_lengths_and_gradients_are_finite_everywhere():
    rng = np.random.default_rng(0)
    count = 4000
    features = torch.from_numpy(rng.integers(-LIMIT, LIMIT + 1, (count, FEATURES)))
    top = rng.choice([1, 255, 65535], count)
    pixel = (rng.random(count) * (top + 1)).astype(int)
    guess = (rng.random(count) * 16 * top).astype(int)
    facts = np.stack([guess, rng.integers(0, LEVELS, count), pixel, top], 1)
    for loudness in (1.0, 30.0):
        model = drawn(loudness=loudness)
        lengths = model.bits(features, torch.from_numpy(facts))
        assert lengths.shape == (count,) and lengths.isfinite().all()
        assert (lengths > 0).all() and (lengths <= 20.001).all()
        lengths.mean().backward()
        assert all(values.grad.isfinite().all() for values in model.parameters())


def test_gradients_reach_every_layer():
    pool = seen(phantom(24).astype(int))
    model = ContextNet(FIRST, SECOND, COMPONENTS)
    model.bits(*pool).mean().backward()
    assert model.last.weight.grad.abs().max() > 0 and model.last.bias.grad.abs().max() > 0
    assert not model.first.weight.grad.any()  # the last layer does not listen yet
    model = drawn()
    model.bits(*pool).mean().backward()
    assert all(values.grad.abs().max() > 0 for values in model.parameters())


def test_a_step_downhill_shortens_the_code():
    pool = seen(phantom(32).astype(int))
    model = drawn()
    before = model.bits(*pool).mean()
    before.backward()
    with torch.no_grad():
        for values in model.parameters():
            values -= 1e-3 * values.grad / values.grad.norm()
    assert bits(model, *pool).mean() < float(before.detach())


def test_other_inputs_than_the_codecs_may_be_tried():
    model = ContextNet(FIRST, SECOND, COMPONENTS, inputs=FEATURES + 7)
    features, facts = seen(texture((6, 6)).astype(int))
    wide = torch.cat([features, torch.zeros(len(features), 7, dtype=features.dtype)], 1)
    plain = ContextNet(FIRST, SECOND, COMPONENTS)
    assert np.array_equal(bits(model, wide, facts), bits(plain, features, facts))
