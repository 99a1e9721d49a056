"""The network in whole numbers: the same to the last bit however it is computed."""

import warnings

import numpy as np
import pytest
import torch
from context_networks import COMPONENTS, FIRST, SECOND, draw

from helpers.codecs.causal import network
from helpers.codecs.causal.network import CAP, EXACT, FINE, HIDDEN, INPUT, RAISED
from helpers.codecs.causal.scene import FEATURES, LIMIT
from helpers.errors import DataError
from helpers.models.context import ContextNet

NETWORKS = {
    "tiny": {},
    "loud": {"loudness": 60.0},  # units at both of their limits
    "large": {"first": 128, "second": 64, "components": 3, "loudness": 0.5},
}


def inputs(count=1000):
    """Features as wild as they can be, and some that are all at a limit."""
    rng = np.random.default_rng(0)
    features = rng.normal(0, 60, (count, FEATURES)).clip(-LIMIT, LIMIT)
    features[-40:] = rng.choice([-LIMIT, LIMIT], (40, FEATURES))
    return np.rint(features).astype(np.float32)


def compiled(net, features):
    found = np.zeros((len(features), net.out.size), np.float32)
    for row, values in zip(found, features, strict=True):
        network.evaluate(net, values)
        row[:] = net.out
    return found


def by_numpy(net, features):
    """The same in 64-bit integers, the powers of two as shifts."""

    def dense(layer, values, least, most):
        begin, whole = layer[:, 0].astype(np.int64), layer[:, 2:].astype(np.int64)
        power = np.log2(layer[:, 1]).astype(np.int64)
        total = values @ whole.T + begin
        moved = np.where(power < 0, total >> np.maximum(-power, 0), total << np.maximum(power, 0))
        return moved.clip(least, most)

    features = features.astype(np.int64)
    hidden = dense(net.first, features, 0, CAP)
    joined = np.hstack([dense(net.second, hidden, 0, CAP), RAISED * features])
    return dense(net.last, joined, None, None)


def by_torch(net, features, batch, device="cpu", dtype=torch.float64):
    """The same as matrix products, whose order of additions is the library's own."""
    layers = [torch.from_numpy(layer).to(device, dtype) for layer in net[:3]]

    def dense(layer, values):
        return torch.floor((values @ layer[:, 2:].T + layer[:, 0]) * layer[:, 1])

    found = []
    for values in torch.from_numpy(features).to(device, dtype).split(batch):
        hidden = dense(layers[0], values).clamp(0, CAP)
        joined = torch.cat([dense(layers[1], hidden).clamp(0, CAP), RAISED * values], 1)
        found.append(dense(layers[2], joined).cpu())
    return torch.cat(found).numpy()


@pytest.mark.parametrize("name", NETWORKS)
def test_every_way_to_compute_it_agrees(name):
    net, features = network.load(draw(**NETWORKS[name])), inputs()
    right = by_numpy(net, features)
    assert np.array_equal(compiled(net, features), right)
    assert len(np.unique(right)) > 100
    threads = torch.get_num_threads()
    try:
        for count in (1, 2):
            torch.set_num_threads(count)
            for batch, every in ((1, 12), (7, 3), (1000, 1)):
                assert np.array_equal(by_torch(net, features[::every], batch), right[::every])
            # and in single precision, which holds the sums exactly
            assert np.array_equal(by_torch(net, features, 1000, dtype=torch.float32), right)
    finally:
        torch.set_num_threads(threads)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
@pytest.mark.parametrize("batch", [1, 7, 1000])
def test_a_gpu_agrees(batch):
    net, features = network.load(draw(**NETWORKS["large"])), inputs()
    assert np.array_equal(by_torch(net, features, batch, "cuda"), by_numpy(net, features))


@pytest.mark.parametrize("name", NETWORKS)
def test_no_sum_can_leave_what_single_precision_holds(name):
    net = network.load(draw(**NETWORKS[name]))
    hidden = net.second.shape[0]
    joined = np.r_[np.full(hidden, CAP), np.full(FEATURES, RAISED * LIMIT)]
    for layer, most in (
        (net.first, np.full(FEATURES, LIMIT)),
        (net.second, np.full(net.second.shape[1] - 2, CAP)),
        (net.last, joined),
    ):
        exact = layer.astype(np.float64)
        assert layer.dtype == np.float32 and np.array_equal(exact[:, 2:], np.rint(exact[:, 2:]))
        assert np.array_equal(exact[:, 0], np.rint(exact[:, 0]))
        largest = np.abs(exact[:, 2:]) @ most + np.abs(exact[:, 0])
        assert (largest < EXACT).all()
        # nor are the weights coarser than they must be
        fine = np.log2(exact[:, 1]) <= np.log2(exact[:, 1]).min()
        assert ((largest > EXACT / 2 - most.sum()) | fine).all()
        assert np.array_equal(np.log2(exact[:, 1]), np.rint(np.log2(exact[:, 1])))


@pytest.mark.parametrize("name", ["tiny", "large"])
def test_it_stays_close_to_the_float_network(name):
    options = NETWORKS[name]
    state = draw(**options)
    widths = options.get("first", FIRST), options.get("second", SECOND)
    model = ContextNet(*widths, options.get("components", COMPONENTS))
    model.load_state_dict({key: torch.from_numpy(value) for key, value in state.items()})
    features = inputs()
    with torch.no_grad():
        right = model(torch.from_numpy(features)).numpy()
    found = compiled(network.load(state), features) / FINE
    # a hidden unit is floored to a step, an output too; the rounded weights matter less
    second, last = (np.abs(state[f"{n}.weight"]) for n in ("second", "last"))
    slack = (last[:, : widths[1]] @ (1 + second.sum(1))).max() / HIDDEN + 2 / FINE + 0.01
    assert np.abs(found - right).max() < slack < 0.3 * np.ptp(right)
    assert np.abs(found - right).mean() < 0.3 * slack


def test_units_saturate_where_the_float_network_does():
    assert INPUT * RAISED == HIDDEN and CAP < 16 * HIDDEN
    state = draw()
    state["first.weight"][:] = 0
    state["first.bias"][:] = 100
    net = network.load(state)
    network.evaluate(net, np.zeros(FEATURES, np.float32))
    assert (net.hidden == CAP).all()


def test_outputs_do_not_depend_on_what_was_computed_before():
    net, features = network.load(draw()), inputs(60)
    assert np.array_equal(compiled(net, features)[::-1], compiled(net, features[::-1]))


def test_larger_weights_only_have_coarser_steps():
    state = draw()
    state["last.weight"] *= 2.0**20
    state["last.bias"] *= 2.0**20
    found = compiled(network.load(state), inputs()).astype(np.float64)
    small = compiled(network.load(draw()), inputs())
    assert np.abs(found / 2**20 - small).max() <= 2


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"second.bias": None}, "lack 'second.bias'"),
        ({"first.weight": np.zeros((FIRST, FEATURES + 1))}, "do not fit together"),
        ({"first.weight": np.zeros((FIRST, FEATURES, 1))}, "do not fit together"),
        ({"first.weight": np.zeros(FEATURES)}, "do not fit together"),
        ({"first.weight": np.float64(3)}, "do not fit together"),
        ({"first.bias": np.zeros(FIRST + 1)}, "do not fit together"),
        ({"first.bias": np.zeros((FIRST, 1))}, "do not fit together"),
        ({"second.weight": np.zeros((SECOND, FIRST - 1))}, "do not fit together"),
        ({"last.weight": np.zeros((6, SECOND))}, "do not fit together"),
        ({"last.weight": np.zeros((5, SECOND + FEATURES))}, "do not fit together"),
        (
            {"last.weight": np.zeros((5, SECOND + FEATURES)), "last.bias": np.zeros(5)},
            "do not fit together",
        ),
        (
            {"last.weight": np.zeros((0, SECOND + FEATURES)), "last.bias": np.zeros(0)},
            "do not fit together",
        ),
        ({"second.bias": np.full(SECOND, np.nan)}, "too large"),
        ({"first.weight": np.full((FIRST, FEATURES), np.inf)}, "too large"),
        ({"first.weight": np.full((FIRST, FEATURES), np.nan)}, "too large"),
        ({"first.bias": np.full(FIRST, -np.inf)}, "too large"),
        ({"first.bias": np.full(FIRST, 1e12)}, "too large"),
        ({"last.weight": np.full((6, SECOND + FEATURES), -1e30)}, "too large"),
    ],
)
def test_weights_that_do_not_fit_are_refused(changes, reason):
    state = {**draw(), **changes}
    state = {name: values for name, values in state.items() if values is not None}
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # one clear sentence, no grumbling of arithmetic
        with pytest.raises(DataError, match=reason) as refused:
            network.load(state)
    said = str(refused.value)
    assert said.endswith(".") and ". " not in said and "\n" not in said
