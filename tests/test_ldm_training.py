"""Training of the enlarging networks: honest squares, weights that the upscalers read."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from codec_images import phantom
from conftest import parse_strictly

from helpers import upscalers, weights
from helpers.codecs.shrink import reduced
from helpers.data import ImageSet, patches
from helpers.data.photographs import photographs
from helpers.errors import DataError
from helpers.experiments.ldm_mammo import training
from helpers.models import superres, upscaler

pytestmark = pytest.mark.usefixtures("one_thread")
QUICK = replace(training.RECIPES["vae"], epochs=1, batch=4)
NAMES = {"vae": "upscaler-vae", "unet": "upscaler-unet", "superres": "superres"}
WOMEN = [*((f"P_{n:05d}", "Training") for n in range(1, 9)), ("P_00173", "Test")]


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """A source of nine women in both official parts, and networks of a few channels."""

    def load(name, size, source, limit):
        assert (name, size, limit) == ("mammography", None, None)
        return ImageSet(
            name=name,
            source=source,
            images=tuple(phantom(64, seed=i) // 2 + 60 for i in range(len(WOMEN))),
            ids=tuple(f"Mass-{part}_{woman}_LEFT_MLO" for woman, part in WOMEN),
            patients=tuple(woman for woman, _ in WOMEN),
            labels=("BENIGN",) * len(WOMEN),
            bit_depth=8,
            licence="none",
            citation="none",
        )

    monkeypatch.setattr(training, "load", load)
    monkeypatch.setattr(training, "SIDE", 32)
    monkeypatch.setattr(training, "STRIDE", 32)
    build = upscaler.build
    monkeypatch.setattr(training, "build", lambda: build((8, 8, 8), (8, 16)))
    read = training.own.load_vae
    monkeypatch.setattr(
        training.own, "load_vae", lambda **options: read(**{"unet_widths": (8, 16)} | options)
    )
    monkeypatch.setattr(training, "SuperResolution", lambda: superres.SuperResolution(8, 1))
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    return tmp_path


def test_squares_are_of_tissue_and_no_woman_is_on_two_sides():
    learnt, watched = training.squares("made-256")
    assert len(learnt) == 4 * len(set(learnt.patients))
    assert len(set(learnt.patients)) + len(set(watched.patients)) == 8
    assert not set(learnt.patients) & set(watched.patients)
    assert "P_00173" not in {*learnt.patients, *watched.patients}  # the official test part
    assert {image.shape for image in (*learnt, *watched)} == {(32, 32)}
    assert all((image > patches.DARK).mean() > patches.TISSUE for image in learnt)


def test_all_three_are_trained_and_read_by_the_upscalers(small):
    cards = {}
    for network, name in {
        "vae": "upscaler-vae",
        "unet": "upscaler-unet",
        "superres": "superres",
    }.items():
        out = small / f"{name}.safetensors"
        cards[name] = training.train(network, ["made-256"], out, QUICK)
        assert parse_strictly(out.with_suffix(".json")) == cards[name] == weights.card(name)
        assert cards[name]["loss"] == training.LOSSES[network]
        assert np.isfinite(cards[name]["history"][0]["held_out_psnr"])
    assert cards["upscaler-unet"]["vae_sha256"] == cards["upscaler-vae"]["sha256"]
    assert cards["upscaler-unet"]["scaling_factor"] > 0 and cards["upscaler-unet"]["spread"] > 0
    image = phantom(24, seed=1)
    for name in ("latent-diffusion", "superres"):
        assert upscalers.get(name)(image).shape == (48, 48)


def test_only_the_u_net_learns_in_its_training(small):
    training.train("vae", ["made-256"], small / "upscaler-vae.safetensors", QUICK)
    images = torch.full((8, 1, 32, 32), 90, dtype=torch.uint8)
    images += torch.arange(32, dtype=torch.uint8)
    task, key = training.prepared("unet", images)
    assert key == [weights.sha256("upscaler-vae").hex()]
    before = {name: value.clone() for name, value in task.pipeline.vae.state_dict().items()}
    training.fit(task, images, QUICK)
    after = task.pipeline.vae.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert {name.split(".")[0] for name, _ in task.named_parameters()} == {"unet"}


def test_the_u_net_learns_from_photographs_and_is_fine_tuned(small, monkeypatch):
    pictures = photographs()
    monkeypatch.setattr(
        training,
        "photographs",
        lambda: replace(pictures, images=tuple(x[200:264, 200:264] for x in pictures)),
    )
    learnt, watched = training.squares("photographs")
    assert len(set(learnt.patients)) == 6 and not set(learnt.patients) & set(watched.patients)
    training.train("vae", ["made-256"], small / "upscaler-vae.safetensors", QUICK)
    before = "upscaler-unet-photographs"
    first = training.train("unet", ["photographs"], small / f"{before}.safetensors", QUICK)
    still = replace(QUICK, learning_rate=0.0)
    out = small / "upscaler-unet.safetensors"
    card = training.train("unet", ["made-256"], out, still, begin=before)
    assert card["began_with"] == before and card["began_with_sha256"] == first["sha256"]
    assert card["sha256"] == first["sha256"] and card["spread"] != first["spread"]
    image = phantom(24, seed=1)
    general, tuned = (
        upscalers.get(name)(image) for name in ("latent-diffusion-photographs", "latent-diffusion")
    )
    assert not np.array_equal(general, tuned)  # equal weights, but another spread of latents
    with pytest.raises(ValueError, match="Only the U-Net is fine-tuned"):
        training.train("vae", ["made-256"], out, QUICK, begin=before)


def test_an_interrupted_training_goes_on(small):
    options = {"checkpoints": small / "kept"}
    out = small / "superres.safetensors"
    card = training.train("superres", ["made-256"], out, replace(QUICK, epochs=3), **options)
    (folder,) = (small / "kept").iterdir()
    assert [row["epoch"] for row in card["history"]] == [1, 2, 3]
    again = training.train("superres", ["made-256"], out, replace(QUICK, epochs=3), **options)
    assert again["sha256"] == card["sha256"] and list((small / "kept").iterdir()) == [folder]


def test_the_u_net_needs_the_auto_encoder(small):
    with pytest.raises(DataError, match="no weights named 'upscaler-vae'"):
        training.train("unet", ["made-256"], small / "upscaler-unet.safetensors", QUICK)


def test_a_small_square_is_what_torchvision_makes_of_a_large_one():
    image = phantom(64, seed=3)
    unit = torch.from_numpy(image.astype(np.float32))[None, None]
    small = superres.reduce(unit)[0, 0].clamp(0, 255).round().numpy()
    np.testing.assert_array_equal(small, reduced(image, 2, 8))


@pytest.mark.parametrize("task", ["vae", "superres"])
def test_what_comes_back_has_the_shape_and_range_of_images(task):
    images = torch.rand(3, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    made, _ = training.prepared(task, (255 * images).byte())
    again = made.reconstruct(images)
    assert again.shape == images.shape and 0 <= again.min() <= again.max() <= 1
    assert made.loss(images).isfinite()
