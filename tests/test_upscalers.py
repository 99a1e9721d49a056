"""One interface over filters, networks and diffusion: range, sizes, tiles, and what is found."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from conftest import pretend_transformers
from PIL import Image

from helpers import upscalers, weights
from helpers.errors import DataError
from helpers.upscalers import hub, own

pytestmark = pytest.mark.usefixtures("one_thread")
RNG = np.random.default_rng(0)
NOISE = RNG.integers(0, 256, (150, 107)).astype(np.uint8)
DEEP = RNG.integers(0, 65_536, (61, 40)).astype(np.uint16)


@pytest.fixture(autouse=True)
def alone(tmp_path, monkeypatch):
    """No weights but those in tmp_path, no model of the paper's, no hub."""
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    monkeypatch.delenv(hub.VARIABLE, raising=False)
    pretend_transformers(monkeypatch, installed=False)


@pytest.fixture
def pipeline(tmp_path):
    """A small upscaler of the book's own, whose weights are on disk."""
    from helpers.models.upscaler import build

    torch.manual_seed(0)
    made = build((8, 8, 8), (8, 16), anchored=False)
    made.vae.register_to_config(scaling_factor=0.7)
    made.register_to_config(spread=0.5)
    own.save_vae(made, tmp_path / "upscaler-vae.safetensors", {"data": "none"})
    own.save_unet(made, tmp_path / "upscaler-unet.safetensors", {"data": "none"})
    return made


def test_the_import_is_light():
    heavy = "{'torch', 'diffusers', 'huggingface_hub'}"
    code = f"import sys, helpers.upscalers; print({heavy} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"


def pillow(image, kind, times=1):
    unit = image / np.float32(np.iinfo(image.dtype).max)
    for _ in range(times):
        size = (2 * unit.shape[1], 2 * unit.shape[0])
        unit = np.asarray(Image.fromarray(unit).resize(size, kind)).clip(0, 1)
    return np.rint(unit * np.iinfo(image.dtype).max).astype(image.dtype)


def furthest(one, other):
    assert one.dtype == other.dtype and one.shape == other.shape
    return np.abs(one.astype(int) - other.astype(int)).max()


@pytest.mark.parametrize("image", [NOISE, DEEP], ids=["8 bit", "16 bit"])
@pytest.mark.parametrize("name", upscalers.FILTERS)
def test_filters_are_pillows_in_full_precision(name, image):
    kind = Image.Resampling[name.upper()]
    enlarge = upscalers.get(name)
    assert furthest(enlarge(image), pillow(image, kind)) == 0
    assert furthest(enlarge(image, 4), pillow(image, kind, times=2)) == 0


@pytest.mark.parametrize(
    ("image", "name"), [(NOISE, "bicubic"), (NOISE, "lanczos"), (DEEP, "bicubic")]
)
@pytest.mark.parametrize(("tile", "overlap"), [(32, 12), (48, 16), (100, 20)])
def test_tiles_leave_no_seams(image, name, tile, overlap):
    enlarge = upscalers.get(name)
    for factor in (2, 4):
        whole = enlarge(image, factor, tile=1000)
        assert furthest(enlarge(image, factor, tile=tile, overlap=overlap), whole) <= 1


@pytest.mark.parametrize("shape", [(8, 8), (9, 31)])
@pytest.mark.parametrize("factor", [2, 4])
def test_any_size_and_both_factors(shape, factor):
    image = NOISE[: shape[0], : shape[1]]
    assert upscalers.get("bicubic")(image, factor).shape == (factor * shape[0], factor * shape[1])


def test_white_is_that_of_the_bit_depth():
    bicubic, image = upscalers.get("bicubic"), DEEP >> 4
    image[:8, :8], image[:8, 8:16] = 4095, 0  # an edge where the filter overshoots
    large = bicubic(image, 2, bits=12)
    assert large.max() == 4095 and large.dtype == np.uint16
    assert bicubic(image, 2).max() > 4095  # the whole range of the dtype by default
    assert np.array_equal(bicubic(np.full((8, 8), 4095, np.uint16), 4, bits=12)[0], [4095] * 32)


@pytest.mark.parametrize(
    ("image", "bits", "reason"),
    [
        (NOISE.astype(np.float32), None, "not float32 of shape"),
        (NOISE.astype(np.int16), None, "not int16"),
        (NOISE[:7], None, "8 x 8 pixels or more"),
        (NOISE[None], None, r"shape \(1, 150, 107\)"),
        (DEEP, 12, "not those of 12 bits"),
        (NOISE, 9, "not those of 9 bits"),
        (NOISE, 0, "not those of 0 bits"),
    ],
)
def test_what_is_no_image_is_refused(image, bits, reason):
    with pytest.raises(ValueError, match=reason):
        upscalers.get("bicubic")(image, bits=bits)


def test_other_factors_and_tiles_are_refused():
    with pytest.raises(ValueError, match="2 or 4 times, not 3 times"):
        upscalers.get("bicubic")(NOISE, 3)
    with pytest.raises(ValueError, match="Tiles of 16 pixels that overlap by 16"):
        upscalers.get("bicubic")(NOISE, tile=16)


def test_an_unknown_name_is_explained():
    with pytest.raises(ValueError, match="no upscaler 'nearest'; there are bicubic, lanczos"):
        upscalers.get("nearest")


def test_the_super_resolution_network_is_read_from_its_weights(tmp_path):
    from helpers.models.superres import SuperResolution

    with pytest.raises(DataError, match="no weights named 'superres'"):
        upscalers.get("superres")
    network = SuperResolution(8, 1)
    torch.nn.init.constant_(network.tail.bias, 0.25)
    about = {"width": 8, "blocks": 1}
    weights.save(network.state_dict(), tmp_path / "superres.safetensors", about)
    image = 64 + NOISE[:20, :24] // 4  # dark enough and bright enough not to be clipped
    brighter = upscalers.get("superres")(image)
    assert furthest(brighter, upscalers.get("bicubic")(image) + np.uint8(64)) <= 1
    weights.save(network.state_dict(), tmp_path / "superres.safetensors", {**about, "blocks": 2})
    with pytest.raises(DataError, match="those of another network"):
        upscalers.get("superres")


def test_without_the_papers_model_the_books_own_runs_and_says_why(pipeline, capfd):
    found = upscalers.find()
    assert found.name == "latent-diffusion"
    assert found.why == (
        "The images are enlarged by the book's own latent-diffusion model: the paper's model "
        "stabilityai/sd-x2-latent-upscaler is not at hand (the package transformers, which "
        "reads its prompt, is not installed)."
    )
    image = NOISE[:18, :13]
    assert found(image).shape == (36, 26)
    assert "".join(capfd.readouterr()) == ""
    with pytest.raises(DataError, match=r"^stabilityai/sd-x2.* is not at hand .*take another"):
        upscalers.get(upscalers.PAPERS)
    assert "asked for by name" in upscalers.get("latent-diffusion").why
    assert all(name in upscalers.names() for name in ("superres", found.name, upscalers.PAPERS))


def test_the_own_upscaler_is_the_pipeline_that_was_saved(pipeline):
    enlarge = upscalers.get("latent-diffusion")
    for part in (pipeline.vae, pipeline.unet):
        part.load_state_dict({key: values.half() for key, values in part.state_dict().items()})
    unit = DEEP[None] / np.float32(65_535)
    expected = np.rint(pipeline(unit, seed=3)[0] * np.float32(65_535)).astype(np.uint16)
    assert np.array_equal(enlarge(DEEP, seed=3), expected)
    assert not np.array_equal(enlarge(DEEP, seed=4), expected)


def test_tiles_of_the_own_upscaler_get_their_part_of_the_noise(pipeline, monkeypatch):
    seen = []

    def remember(self, images, noise):
        seen.append((images.shape[1:], noise))
        return np.zeros((1, 2 * images.shape[1], 2 * images.shape[2]), np.float32)

    monkeypatch.setattr(type(pipeline), "__call__", remember)
    enlarge = upscalers.get("latent-diffusion")
    image = NOISE[:30, :50]
    enlarge(image, tile=32, overlap=8, seed=2)
    assert [sides for sides, _ in seen] == [(30, 32), (30, 30)]
    field = pipeline.noise(30, 50, seed=2)
    assert field.shape == (4, 16, 26)
    assert torch.equal(seen[0][1], field[:, :, :16]) and torch.equal(seen[1][1], field[:, :, 10:])


def test_cards_say_what_is_needed(pipeline):
    from helpers.models.cae import count_parameters

    vae, unet = (weights.card(f"upscaler-{part}") for part in ("vae", "unet"))
    assert vae["parameters"] == count_parameters(pipeline.vae) and vae["data"] == "none"
    assert unet["parameters"] == count_parameters(pipeline.unet)
    assert (vae["widths"], unet["widths"]) == ([8, 8, 8], [8, 16])
    assert (unet["scaling_factor"], unet["spread"], unet["anchored"]) == (0.7, 0.5, False)
    assert unet["vae_sha256"] == vae["sha256"]


def test_networks_of_two_trainings_do_not_mix(pipeline, tmp_path):
    torch.nn.init.zeros_(pipeline.vae.decoder.conv_out.weight)
    own.save_vae(pipeline, tmp_path / "upscaler-vae.safetensors", {})
    with pytest.raises(DataError, match="trained with another auto-encoder"):
        upscalers.get("latent-diffusion")


def test_where_nothing_is_at_hand_both_reasons_are_given():
    with pytest.raises(DataError, match=r"transformers.*no weights named 'upscaler-unet'"):
        upscalers.find()


def test_a_mistyped_folder_does_not_pass_for_none(pipeline, tmp_path, monkeypatch):
    monkeypatch.setenv(hub.VARIABLE, str(tmp_path / "mistyped"))
    with pytest.raises(DataError, match=r"MEDCODEC_UPSCALER names .*mistyped, which holds no"):
        upscalers.find()
