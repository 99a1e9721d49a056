"""The latent-diffusion upscaler: sizes, chance, conventions of the diffusion, files, losses."""

import json
from types import SimpleNamespace

import numpy as np
import pytest
import torch

from helpers.models.cae import count_parameters
from helpers.models.superres import enlarge
from helpers.models.upscaler import STEPS, LatentUpscaler, build
from helpers.models.upscaler_losses import calibrate, training_loss, vae_loss

pytestmark = pytest.mark.usefixtures("one_thread")
SMALL = ((8, 8, 8), (8, 16))


def textures(count, side, seed=0):
    """Noise that is a little smooth, (count, side, side) float32 in [0, 1]."""
    from scipy.ndimage import gaussian_filter

    noise = np.random.default_rng(seed).standard_normal((count, side, side))
    return np.clip(gaussian_filter(noise, (0, 1, 1)) + 0.5, 0, 1).astype(np.float32)


def pairs(count, side, seed=0):
    high = torch.from_numpy(textures(count, 2 * side, seed))[:, None]
    shrink = {"scale_factor": 0.5, "mode": "bicubic", "antialias": True}
    return torch.nn.functional.interpolate(high, **shrink).clamp(0, 1), high


@pytest.fixture
def pipeline():
    torch.manual_seed(0)
    made = build(*SMALL)
    calibrate(made, *pairs(4, 16))
    return made


def know(pipeline, monkeypatch, rest):
    """Let the U-Net answer with the true v of a picture, or with zeros if `rest` is None."""
    alphas = pipeline.scheduler.alphas_cumprod

    def forward(sample, times, return_dict=True):
        if rest is None:
            return SimpleNamespace(sample=torch.zeros_like(sample[:, :4]))
        signal = alphas[torch.atleast_1d(times)].reshape(-1, 1, 1, 1)
        noise = (sample[:, :4] - signal.sqrt() * rest) / (1 - signal).sqrt()
        velocity = signal.sqrt() * noise - (1 - signal).sqrt() * rest
        return SimpleNamespace(sample=velocity)

    monkeypatch.setattr(pipeline.unet, "forward", forward)


def test_the_networks_have_the_size_that_the_page_can_pay():
    made = build()
    assert count_parameters(made.vae) == 1_448_957
    assert count_parameters(made.unet) == 2_473_764
    assert all(2 * count_parameters(part) <= 16 * 2**20 for part in (made.vae, made.unet))
    with torch.inference_mode():
        assert made.latents(torch.zeros(2, 1, 64, 32)).shape == (2, 4, 16, 8)
        assert made.known(torch.zeros(2, 1, 32, 16)).shape == (2, 8, 16, 8)


@pytest.mark.parametrize("shape", [(8, 8), (16, 20), (13, 9), (3, 5)])
def test_any_size_is_doubled(pipeline, shape):
    large = pipeline(textures(2, 20)[:, : shape[0], : shape[1]], steps=2)
    assert large.shape == (2, 2 * shape[0], 2 * shape[1]) and large.dtype == np.float32
    assert large.min() >= 0 and large.max() <= 1 and large.std() > 0


def test_padding_repeats_the_border(pipeline):
    image = textures(1, 16)[:, :13, :10]
    padded = np.pad(image, [(0, 0), (0, 3), (0, 2)], mode="edge")
    assert np.array_equal(pipeline(image, steps=2), pipeline(padded, steps=2)[:, :26, :20])


def test_chance_comes_from_the_seed_and_not_from_the_batch(pipeline):
    images = textures(3, 16)
    large = pipeline(images, steps=3)
    torch.manual_seed(99)
    assert np.array_equal(large, pipeline(images, steps=3))
    assert np.array_equal(large[2:], pipeline(images[2:], steps=3))
    together = pipeline(images, steps=3, batch=2)
    assert np.abs(large - together).max() < 1e-4
    assert np.abs(large - pipeline(images, steps=3, seed=1)).max() > 1e-2
    noise = pipeline.noise(16, 16, seed=1)
    assert np.array_equal(pipeline(images, steps=3, noise=noise), pipeline(images, 3, 1))


def test_twenty_calls_of_the_network_without_guidance(pipeline):
    sizes = []
    hook = pipeline.unet.register_forward_hook(lambda _, inputs, __: sizes.append(len(inputs[0])))
    pipeline(textures(1, 8))
    hook.remove()
    assert sizes == [1] * 20 == [1] * STEPS
    scheduler = pipeline.scheduler
    assert len(scheduler.timesteps) == 20
    assert float(scheduler.alphas_cumprod[scheduler.timesteps[0]]) == 0  # pure noise, no signal


@pytest.mark.parametrize("steps", [1, 2, 20])
def test_a_perfect_network_arrives_at_the_latents_of_the_true_image(monkeypatch, steps):
    torch.manual_seed(0)
    made = build(*SMALL, anchored=False)
    low, high = pairs(1, 16)
    calibrate(made, *pairs(4, 16, seed=1))
    with torch.inference_mode():
        rest = (made.latents(high) - made.latents(enlarge(low))) / made.config.spread
        posterior = made.vae.encode(2 * high - 1).latent_dist
        best = (made.vae.decode(posterior.mode()).sample / 2 + 0.5).clamp(0, 1)
    know(made, monkeypatch, rest)
    drawn = made(low[:, 0].numpy(), steps=steps)
    assert np.abs(drawn - best[:, 0].numpy()).max() < 1e-3


def test_anchored_and_with_nothing_drawn_it_is_the_bicubic_filter(pipeline, monkeypatch):
    low, _ = pairs(1, 16)
    know(pipeline, monkeypatch, torch.zeros(1, 4, 8, 8))
    drawn = pipeline(low[:, 0].numpy(), steps=4)
    assert np.abs(drawn - enlarge(low)[:, 0].clamp(0, 1).numpy()).max() < 1e-4


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((8, 8), np.float32),
        np.zeros((0, 8, 8), np.float32),
        np.full((1, 8, 8), 255),
        np.full((1, 8, 8), -0.1, np.float32),
        np.full((1, 8, 8), np.nan, np.float32),
    ],
)
def test_what_is_no_batch_of_images_is_refused(pipeline, images):
    with pytest.raises(ValueError, match=r"takes images of shape \(N, H, W\) in \[0, 1\]"):
        pipeline(images)


def test_wrong_noise_steps_and_widths_are_refused(pipeline):
    image = np.zeros((1, 16, 16), np.float32)
    with pytest.raises(ValueError, match=r"Noise of shape \(4, 4, 4\) does not fit"):
        pipeline(image, noise=pipeline.noise(8, 8))
    for steps in (0, 1001):
        with pytest.raises(ValueError, match=f"1 to 1000 steps, not in {steps}"):
            pipeline(image, steps=steps)
    for widths in (((8, 8), (8, 8)), ((8, 8, 12), (8, 8)), ((8, 8, 8), (8, 9))):
        with pytest.raises(ValueError, match="multiples of 8"):
            build(*widths)


def test_it_saves_and_loads_like_any_pipeline(pipeline, tmp_path, capfd):
    image = textures(1, 16)
    pipeline.save_pretrained(tmp_path)
    again = LatentUpscaler.from_pretrained(tmp_path)
    assert np.array_equal(again(image, steps=3), pipeline(image, steps=3))
    assert again.config.spread == pipeline.config.spread != 1
    assert again.vae.config.scaling_factor == pipeline.vae.config.scaling_factor != 1
    assert "".join(capfd.readouterr()) == ""
    assert json.loads((tmp_path / "model_index.json").read_text())["vae"][1] == "AutoencoderKL"
    kinds = {file.suffix for file in tmp_path.rglob("*") if file.is_file()}
    assert kinds == {".json", ".safetensors"}
    with pytest.raises(OSError):
        LatentUpscaler.from_pretrained(tmp_path / "vae")


def test_calibration_brings_latents_and_rests_to_unit_variance(pipeline):
    low, high = pairs(4, 16)
    for _ in range(2):  # once more changes nothing
        with torch.inference_mode():
            latents, nearly = pipeline.latents(high), pipeline.latents(enlarge(low))
        assert float(latents.std()) == pytest.approx(1, rel=1e-4)
        rest = (latents - nearly) / pipeline.config.spread
        assert float(rest.square().mean()) == pytest.approx(1, rel=1e-4)
        calibrate(pipeline, low, high)
    with pytest.raises(ValueError, match="no detail to learn from"):
        calibrate(pipeline, high, enlarge(high))


def test_the_loss_is_one_for_silence_and_nothing_for_the_truth(pipeline, monkeypatch):
    low, high = pairs(4, 16)
    with torch.inference_mode():
        rest = pipeline.latents(high) - pipeline.latents(enlarge(low))
    know(pipeline, monkeypatch, rest / pipeline.config.spread)
    assert float(training_loss(pipeline, low, high)) < 1e-6
    know(pipeline, monkeypatch, None)
    assert float(training_loss(pipeline, low, high)) == pytest.approx(1, abs=0.15)


def test_the_unet_learns_and_the_auto_encoder_stays(pipeline):
    low, high = pairs(8, 8)
    chance = torch.Generator()
    optimiser = torch.optim.Adam(pipeline.unet.parameters(), lr=5e-3)

    def loss(seed):
        return training_loss(pipeline, low, high, chance.manual_seed(seed))

    assert float(loss(5).detach()) == float(loss(5).detach()) != float(loss(6).detach())
    before = np.mean([float(loss(1000 + seed).detach()) for seed in range(5)])
    for seed in range(30):
        optimiser.zero_grad()
        loss(seed).backward()
        optimiser.step()
    after = np.mean([float(loss(1000 + seed).detach()) for seed in range(5)])
    assert after < 0.9 * before
    assert all(values.grad is None for values in pipeline.vae.parameters())


def test_the_auto_encoder_learns(pipeline):
    _, high = pairs(4, 8)
    chance = torch.Generator()
    optimiser = torch.optim.Adam(pipeline.vae.parameters(), lr=5e-3)
    losses = []
    for _ in range(25):
        optimiser.zero_grad()
        losses.append(vae_loss(pipeline, high, chance.manual_seed(0)))
        losses[-1].backward()
        optimiser.step()
    assert losses[-1].item() < 0.7 * losses[0].item()


def test_the_auto_encoders_loss_by_hand(pipeline):
    _, high = pairs(2, 8)
    with torch.inference_mode():
        posterior = pipeline.vae.encode(2 * high - 1).latent_dist
        again = pipeline.vae.decode(posterior.sample(torch.Generator().manual_seed(3))).sample
        error = float((again - (2 * high - 1)).abs().mean())
        mean, log = posterior.mean, posterior.logvar
        nats = float((0.5 * (mean**2 + log.exp() - 1 - log)).sum()) / high.numel()
        for weight in (0, 0.1):
            loss = vae_loss(pipeline, high, torch.Generator().manual_seed(3), weight)
            assert float(loss) == pytest.approx(error + weight * nats, rel=1e-5)


@pytest.mark.parametrize(
    "sides", [((16, 16), (32, 30)), ((10, 10), (20, 20)), ((16, 16), (16, 16))]
)
def test_pairs_that_do_not_fit_are_refused(pipeline, sides):
    low, high = (torch.zeros(1, 1, *side) for side in sides)
    with pytest.raises(ValueError, match="do not fit; sides of the second are twice"):
        training_loss(pipeline, low, high)
