"""The auto-encoder is the one of Tables 1 and 2: shapes, parameters, operations."""

import pytest
import torch

from helpers.models.cae import ConvAutoencoder, count_parameters, forward_flops

# (inputs, outputs) of the ten 3x3 layers, copied from Tables 1 and 2 of the paper
TABLE_1 = [(1, 32), (32, 64), (64, 128), (128, 256), (256, 512)]
TABLE_2 = [(512, 512), (512, 256), (256, 128), (128, 64), (64, 1)]


@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    return ConvAutoencoder().eval()


def test_parameters_add_up_to_those_of_the_tables(model):
    by_hand = [sum(9 * a * b + b for a, b in table) for table in (TABLE_1, TABLE_2)]
    assert [count_parameters(part) for part in (model.encoder, model.decoder)] == by_hand
    assert count_parameters(model) == sum(by_hand) == 5_477_121


def test_parameters_that_do_not_train_are_not_counted():
    layer = torch.nn.Linear(3, 2)
    layer.bias.requires_grad_(False)
    assert count_parameters(layer) == 6


def test_every_layer_has_the_shape_of_the_tables(model):
    shapes = []
    watched = (torch.nn.MaxPool2d, torch.nn.ConvTranspose2d)
    hooks = [
        layer.register_forward_hook(lambda _, __, output: shapes.append(tuple(output.shape[1:])))
        for layer in model.modules()
        if isinstance(layer, watched)
    ]
    with torch.inference_mode():
        model(torch.zeros(1, 1, 512, 512))
    for hook in hooks:
        hook.remove()
    assert shapes == [
        *((32, 256, 256), (64, 128, 128), (128, 64, 64), (256, 32, 32), (512, 16, 16)),
        *((512, 32, 32), (256, 64, 64), (128, 128, 128), (64, 256, 256), (1, 512, 512)),
    ]


@pytest.mark.parametrize("shape", [(32, 32), (32, 96), (160, 64)])
def test_any_multiple_of_32_comes_back_in_its_shape(model, shape):
    image = torch.rand(2, 1, *shape, generator=torch.Generator().manual_seed(1))
    with torch.inference_mode():
        latent = model.encoder(image)
        unit = torch.sigmoid(model(image))
    assert latent.shape == (2, 512, shape[0] // 32, shape[1] // 32)
    assert unit.shape == image.shape
    assert unit.min() >= 0 and unit.max() <= 1 and unit.std() > 0


def test_the_loss_is_the_cross_entropy_of_the_paper(model):
    image = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(2))
    with torch.inference_mode():
        unit = torch.sigmoid(model(image)).double()
        by_hand = -(image * unit.log() + (1 - image) * (1 - unit).log()).mean()
        assert float(model.loss(image)) == pytest.approx(float(by_hand), rel=1e-5)


def test_weights_start_as_in_keras():
    torch.manual_seed(3)
    layer = ConvAutoencoder().encoder[6]  # 64 -> 128, its Glorot limit sqrt(6 / (9 (64 + 128)))
    limit = (6 / (9 * (64 + 128))) ** 0.5
    assert 0.99 * limit < layer.weight.abs().max() <= limit
    assert not layer.bias.any()


def test_operations_match_a_count_by_hand(model):
    side, macs = 512, 0
    for before, after in TABLE_1:  # at the input's size: pooling comes after
        macs += 9 * before * after * side**2
        side //= 2
    for before, after in TABLE_2:  # every input value meets every tap of its kernel
        macs += 9 * before * after * side**2
        side *= 2
    assert forward_flops(model, (1, 1, 512, 512)) == 2 * macs
    assert forward_flops(model, (3, 1, 64, 64)) == 3 * 2 * macs // 64
    assert next(model.parameters()).device.type == "cpu"  # counting leaves the weights alone
