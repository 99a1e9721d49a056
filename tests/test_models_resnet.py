"""The classifier is the one the paper describes: frozen body, learning BatchNorm, six layers."""

import math
from itertools import pairwise

import pytest
import torch
from torch import nn

from helpers.models import resnet
from helpers.models.cae import count_parameters
from helpers.models.resnet import Variant, build, probabilities, trainable

WIDTHS = (2048, 1024, 512, 256, 128, 32, 1)


class Pooled(nn.Module):
    """A body that returns the mean of each colour."""

    def forward(self, colours):
        return colours.mean(dim=(2, 3))


def small_body():
    return nn.Sequential(
        nn.Conv2d(3, 4, 3, stride=2, bias=False),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
    )


def grey(*shape, seed=0):
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.fixture(scope="module")
def real():
    torch.manual_seed(0)
    return build()


@pytest.fixture(autouse=True)
def threads(one_thread):
    pass


def test_parameters_of_the_real_network(real):
    head = sum(a * b + b for a, b in pairwise(WIDTHS))
    norms = sum(2 * layer.num_features for layer in resnet._norms(real.body))
    every = sum(parameter.numel() for parameter in real.parameters())
    assert sum(p.numel() for p in real.body.parameters()) == 23_508_032
    assert norms == 53_120 and head == 2_791_361
    assert count_parameters(real) == norms + head == 2_844_481
    assert every == 26_299_393


def test_nothing_of_the_body_trains_but_batchnorm(real):
    names = trainable(real)
    norms = {
        f"body.{name}.{what}"
        for name, layer in real.body.named_modules()
        if isinstance(layer, nn.BatchNorm2d)
        for what in ("weight", "bias")
    }
    assert len(norms) == 2 * 53
    assert {name for name in names if name.startswith("body.")} == norms
    assert sum(name.startswith("head.") for name in names) == 2 * 6
    assert names.keys() == {n for n, p in real.named_parameters() if p.requires_grad}


def test_the_head_is_that_of_the_paper(real):
    linear = [layer for layer in real.head if isinstance(layer, nn.Linear)]
    assert [(layer.in_features, layer.out_features) for layer in linear] == list(pairwise(WIDTHS))
    kinds = [type(layer).__name__ for layer in real.head if not isinstance(layer, nn.Dropout)]
    assert kinds == ["Linear", "ReLU"] * 5 + ["Linear"]
    assert all(layer.p == 0 for layer in real.head if isinstance(layer, nn.Dropout))


def test_a_step_moves_batchnorm_its_statistics_and_the_head_only(real):
    before = {name: value.clone() for name, value in real.state_dict().items()}
    real.train()
    optimiser = torch.optim.Adam(trainable(real).values(), lr=1e-3)
    logits = real(grey(3, 1, 64, 64))
    assert logits.shape == (3,)
    nn.functional.binary_cross_entropy_with_logits(logits, torch.tensor([0.0, 1, 1])).backward()
    optimiser.step()
    moved = {name for name, value in real.state_dict().items() if not value.equal(before[name])}
    norms = {name for name in before if "bn" in name or "downsample.1" in name}
    assert moved == norms | {name for name in before if name.startswith("head.")}
    found = resnet.learnt(real)
    assert moved <= found.keys() and not any("conv" in name for name in found)
    assert sum(value.numel() for value in found.values()) < 3e6
    real.load_state_dict(before)
    assert not found["head.0.bias"].equal(real.state_dict()["head.0.bias"])  # they are copies
    whole = build({**before, **found}).state_dict()
    assert all(whole[name].equal(found.get(name, value)) for name, value in before.items())


def test_signals_neither_vanish_nor_explode_in_the_head():
    torch.manual_seed(1)
    values = resnet.head(2048)(grey(64, 2048, seed=2)).std()
    assert 0.1 < values < 10


def test_strides_of_the_two_variants():
    def strides(flag):
        with torch.device("meta"):
            body = resnet.resnet50(flag)
        return [
            (block[0].conv1.stride, block[0].conv2.stride)
            for block in (body.layer1, body.layer2, body.layer3, body.layer4)
        ]

    plain = ((1, 1), (1, 1))
    assert strides(False) == [plain] + 3 * [((1, 1), (2, 2))]
    assert strides(True) == [plain] + 3 * [((2, 2), (1, 1))]


def test_a_variant_travels_with_the_state():
    variant = Variant((0.1, 0.2, 0.3), (0.5, 0.25, 0.125), 1e-3, True)
    told = Variant.of(variant.tensors())
    assert told.stride_in_1x1 is True
    assert [*told.mean, *told.std, told.eps] == pytest.approx([*variant.mean, *variant.std, 1e-3])
    listed = {name: value.reshape(-1) for name, value in variant.tensors().items()}
    assert Variant.of(listed) == told  # as a file of weights keeps them
    assert Variant.of({}) == Variant() and Variant().eps == 1e-5
    state = small_body().state_dict() | variant.tensors()
    model = build(state, body=small_body(), features=4)
    assert [layer.eps for layer in resnet._norms(model.body)] == pytest.approx([1e-3])
    again = build(model.state_dict(), body=small_body(), features=4)
    assert [layer.eps for layer in resnet._norms(again.body)] == pytest.approx([1e-3])
    image = grey(2, 1, 16, 16)
    assert torch.equal(model.eval()(image), again.eval()(image))


def test_the_real_body_takes_the_strides_that_its_state_asks_for(real):
    body = {name.removeprefix("body."): value for name, value in real.body.state_dict().items()}
    asked = build(body | Variant(stride_in_1x1=True).tensors()).eval()
    assert asked.body.layer3[0].conv1.stride == (2, 2)
    plain = build(body | {"fc.weight": torch.zeros(1000, 2048), "fc.bias": torch.zeros(1000)})
    assert plain.body.layer3[0].conv1.stride == (1, 1)
    colours = grey(1, 3, 64, 64)
    with torch.inference_mode():
        one, other = asked.body(colours), plain.eval().body(colours)
    assert one.shape == other.shape == (1, 2048)
    assert not torch.allclose(one, other, rtol=0.01)


def test_a_grey_image_becomes_three_normalised_colours():
    model = build(Variant((0.1, 0.2, 0.3), (0.5, 0.25, 2.0)).tensors(), body=Pooled(), features=3)
    seen = []
    model.head = nn.Sequential(nn.Identity(), nn.Linear(3, 1))
    model.head[0].register_forward_hook(lambda _, given, __: seen.append(given[0]))
    model(torch.full((1, 1, 4, 4), 0.6))
    assert seen[0].tolist()[0] == pytest.approx([1.0, 1.6, 0.15])


def test_logits_keep_the_loss_where_a_sigmoid_is_already_one():
    logits = torch.tensor([-2.0, 0.0, 200.0])
    assert probabilities(logits).tolist() == pytest.approx([1 / (1 + math.exp(2)), 0.5, 1.0])
    loss = nn.functional.binary_cross_entropy_with_logits(logits[2:], torch.zeros(1))
    assert float(loss) == 200
    assert float(-torch.log(1 - probabilities(logits[2:]))) == math.inf


def test_dropout_changes_training_but_neither_names_nor_scores():
    plain = build(body=small_body(), features=4)
    state = plain.state_dict()
    dropping = build(state, dropout=0.5, body=small_body(), features=4)
    assert dropping.state_dict().keys() == state.keys()
    image = grey(4, 1, 16, 16)
    assert torch.equal(plain.eval()(image), dropping.eval()(image))
    dropping.train()
    assert not torch.equal(dropping(image), dropping(image))


@pytest.mark.parametrize("dropout", [-0.1, 1.0, float("nan")])
def test_dropout_out_of_range(dropout):
    with pytest.raises(ValueError, match="share from 0 to below 1"):
        build(body=small_body(), features=4, dropout=dropout)


def test_weights_of_another_network_are_refused():
    state = build(body=small_body(), features=4).state_dict()
    other = nn.Sequential(nn.Conv2d(3, 5, 3), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with pytest.raises(ValueError, match="do not fit the classifier"):
        build(state, body=other, features=5)
    with pytest.raises(ValueError, match="do not fit the classifier"):
        build({"conv1.weight": torch.zeros(1)}, body=small_body(), features=4)
    del state["head.0.bias"]
    with pytest.raises(ValueError, match=r"head\.0\.bias"):
        build(state, body=small_body(), features=4)
