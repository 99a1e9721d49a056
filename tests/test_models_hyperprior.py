"""The lossy codec's network: begins as a cosine transform, never looks ahead, learns."""

import numpy as np
import pytest
import torch

from helpers.codecs.hyperprior.integers import IntegerContext
from helpers.codecs.hyperprior.integers import stages as stages_in_whole_numbers
from helpers.experiments.beyond import calibration
from helpers.models.hyperprior import network
from helpers.models.hyperprior.context import ContextModel, stages
from helpers.models.hyperprior.layout import BANDS, GROUPS, STAGES, STARTS, price, usual_step
from helpers.models.hyperprior.transform import cosines


@pytest.fixture
def net():
    torch.manual_seed(0)
    return network.Hyperprior(torch.linspace(100, 1, BANDS)).eval()


@pytest.fixture
def learnt(net):
    """A network whose silent layers speak, at random."""
    for name, values in net.named_parameters():
        if ".out" in name or ".last" in name:
            torch.nn.init.normal_(values, std=0.05)
    return net


def test_the_transform_is_orthonormal_and_ordered():
    rows = cosines().reshape(BANDS, -1)
    assert torch.allclose(rows @ rows.T, torch.eye(BANDS), atol=1e-5)
    changes = (rows.reshape(BANDS, 16, 16).diff(dim=2) ** 2).sum((1, 2))
    assert changes[0] < 1e-6 and changes[:8].mean() < changes[-8:].mean() / 10


def test_an_untrained_network_is_the_transform(net):
    pictures = 50 * torch.randn(2, 1, 48, 32)
    level = torch.tensor([0.2, 0.9])
    latents = net.analyse(pictures, level)
    assert latents.shape == (2, BANDS, 3, 2)
    assert torch.allclose(net.synthesise(latents, level), pictures, atol=1e-3)
    assert torch.allclose(latents.square().sum(), pictures.square().sum(), rtol=1e-4)


def test_steps_and_prices_follow_the_rate(net):
    level = torch.linspace(0, 1, 17)
    steps = net.step(level)
    assert torch.allclose(steps[:, 0, 0, 0], usual_step(level), rtol=1e-4)
    assert (price(level).diff() > 0).all()


def test_rate_falls_and_error_grows_with_the_step(net):
    torch.manual_seed(1)
    pictures = 30 * torch.randn(4, 1, 64, 64)
    with torch.no_grad():
        found = [net(pictures, torch.full((4,), level)) for level in (0.0, 0.5, 1.0)]
    rates = [float(rate.mean()) for rate, _ in found]
    errors = [float((made - pictures).square().mean()) for _, made in found]
    assert rates == sorted(rates) and errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("shape", [(1, 1), (4, 4), (5, 7)])
def test_stages_cover_every_position_once(shape):
    for count in (2, 5):
        order = stages(*shape, count)
        assert np.array_equal(order.numpy(), stages_in_whole_numbers(shape, count))
        assert set(order.flatten().tolist()) <= set(range(count))
    board = stages(6, 6, 2)
    assert (board[:, 1:] != board[:, :-1]).all() and (board[1:] != board[:-1]).all()


@pytest.mark.parametrize("k", range(len(GROUPS)))
def test_no_stage_sees_itself_or_what_comes_later(learnt, k):
    """Change a stage's latents: no mean or scale of that stage or an earlier one moves."""
    torch.manual_seed(0)
    model: ContextModel = learnt.context
    level = torch.tensor([0.5])
    hyper, lower = torch.randn(1, 128, 9, 6), torch.randn(1, STARTS[k], 9, 6)
    own = torch.randn(1, GROUPS[k], 9, 6)
    order = stages(9, 6, STAGES[k])
    with torch.no_grad():
        before = torch.cat(model.group(k, hyper, lower, own, level), 1)
        for stage in range(STAGES[k]):
            other = own + 5 * (order == stage)
            after = torch.cat(model.group(k, hyper, lower, other, level), 1)
            moved = (after - before).abs().sum((0, 1)) > 1e-4
            assert not moved[order <= stage].any()
            if stage + 1 < STAGES[k]:
                assert moved[order > stage].any()


def test_whole_numbers_say_what_the_floats_say(learnt):
    """The same means and scales, but for the rounding of weights and activations."""
    arrays = calibration.tables(learnt, [])
    context = IntegerContext(arrays)
    level, shape = 21, (6, 5)
    rate = torch.tensor([level / 63])
    rng = np.random.default_rng(0)
    side = rng.integers(-3, 4, (2, 2, 16))
    asked = []

    def code(bands, rows, columns, mean, scale):
        found = rng.integers(-2, 3, mean.shape)
        asked.append((bands, rows, columns, mean, scale, found))
        return found

    values = context.walk(side, level, shape, code)
    assert values.shape == (*shape, BANDS)
    step = torch.from_numpy(context.steps[level]).float()
    known = torch.from_numpy(values / 256).float() * step / learnt.spread.flatten()
    known = known.permute(2, 0, 1)[None]
    state = {key: torch.from_numpy(arrays[key]) for key in learnt.state_dict()}
    learnt.load_state_dict(state)  # as they are stored
    with torch.no_grad():
        hyper = learnt.context.hyper(
            torch.from_numpy(side).float().permute(2, 0, 1)[None], rate, shape
        )
        for bands, rows, columns, mean, scale, _ in asked:
            k = STARTS.index(bands.start)
            unit = (learnt.spread.flatten() / step)[bands]
            means, scales = learnt.context.group(
                k, hyper, known[:, : bands.start], known[:, bands], rate
            )
            theirs = means[0][:, rows, columns].T * unit
            assert np.abs(mean / 256 - theirs.numpy()).max() < 0.02 * float(unit.max())
            octaves = scales[0][:, rows, columns].T + torch.log2(unit)
            wanted = (8 * (octaves + 4)).clamp(0, 111).numpy()
            assert np.abs(scale - wanted).max() < 1.2


def test_a_lower_bound_lets_slopes_back_over_it():
    value = torch.tensor([-10.0, 0.0], requires_grad=True)
    widened = network.widened(value)
    assert float(widened[0].detach()) == pytest.approx(network.NARROWEST)
    (-widened.sum()).backward()
    assert float(value.grad[0]) < 0  # it may grow
    value.grad = None
    network.widened(value)[0].backward()
    assert float(value.grad[0]) == 0  # it may not shrink further


def test_bits_of_a_normal_law_add_up():
    values = torch.arange(-200.0, 201)
    for scale in (0.3, 1.0, 20.0):
        chances = torch.exp2(-network.gaussian_bits(values, torch.tensor(scale)))
        assert float(chances.sum()) == pytest.approx(1, abs=1e-3)
