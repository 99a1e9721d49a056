"""What the U-Net of the paper's upscaler, ``stabilityai/sd-x2-latent-upscaler``, is tuned with.

Its pipeline in diffusers draws the latents z of the large image from x = z + sigma n, where n is
noise of unit variance and sigma falls step by step. In each step the U-Net sees x / s, with
s = sqrt(sigma^2 + 1), and its output F becomes an estimate of z as in Karras et al. 2022 for
latents of unit variance:

    D(x; sigma) = x / s^2 + (sigma / s) F.

D is z where F is (sigma z - n) / s: insert x, and z / s^2 + (sigma^2 / s^2) z is z, while the
noise cancels. That target has unit variance at every sigma if z has. The squared error of D,
weighted by s^2 / sigma^2, is the squared error of F; with this weight no sigma outweighs another.
"""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn.functional import interpolate

from helpers.models.superres import FACTOR
from helpers.upscalers.hub import GRID

_WAVES = 64  # that tell the U-Net how much noise was added to the small image's latents


@dataclass(frozen=True)
class Setting:
    """What stays as it is while the U-Net learns; see `setting`.

    Parameters
    ----------
    prompt : (1, 77, C) float tensor
        The empty prompt, embedded word by word.
    condition : (1, 128 + P) float tensor
        What else the U-Net is told of: no noise on the small image, and the whole prompt.
    least, most : float
        Range of the scheduler's sigmas.
    """

    prompt: Tensor
    condition: Tensor
    least: float
    most: float


@torch.no_grad()
def setting(pipeline) -> Setting:
    """Embed the empty prompt and look up the range of sigma, once a training.

    Parameters
    ----------
    pipeline : diffusers.StableDiffusionLatentUpscalePipeline
        Where and as precise as it is to be trained.
    """
    prompt, _, pooled, _ = pipeline.encode_prompt([""], pipeline.unet.device, False)
    # cosines and sines of a noise level of zero
    waves = torch.cat([torch.ones(1, _WAVES), torch.zeros(1, _WAVES)], 1).to(pooled)
    kept = pipeline.scheduler.alphas_cumprod
    sigmas = ((1 - kept) / kept).sqrt()
    ends = float(sigmas.min()), float(sigmas.max())
    return Setting(prompt, torch.cat([waves, pooled], 1), *ends)


def latents(vae, images: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Latents of grey images as the pipeline draws them, scaled to about unit variance.

    Parameters
    ----------
    vae : diffusers.AutoencoderKL
    images : (N, 1, H, W) float tensor in [0, 1]
        Sides are multiples of 8.
    generator : torch.Generator, optional

    Returns
    -------
    (N, 4, H/8, W/8) float tensor
    """
    colour = (2 * images - 1).expand(-1, 3, -1, -1)
    return vae.encode(colour).latent_dist.sample(generator) * vae.config.scaling_factor


def denoised(unet, seen: Tensor, sigmas: Tensor, low: Tensor, setting: Setting) -> Tensor:
    """The estimate D of clean latents, as the pipeline computes it without guidance.

    Parameters
    ----------
    unet : diffusers.UNet2DConditionModel
    seen : (N, 4, h, w) float tensor
        Latents of the large images plus noise, x.
    sigmas : (N, 1, 1, 1) float tensor
        Standard deviations of the noise.
    low : (N, 4, h/2, w/2) float tensor
        Latents of the small images.
    setting : Setting

    Returns
    -------
    (N, 4, h, w) float tensor
    """
    squares = sigmas.square() + 1
    output = unet(
        torch.cat([seen / squares.sqrt(), interpolate(low, scale_factor=FACTOR)], 1),
        sigmas.flatten().log() / 4,
        encoder_hidden_states=setting.prompt.expand(len(seen), -1, -1),
        timestep_cond=setting.condition.expand(len(seen), -1),
    ).sample[:, :-1]  # the last channel is a variance that the pipeline does not use
    return seen / squares + sigmas / squares.sqrt() * output


def tuning_loss(
    pipeline,
    low: Tensor,
    high: Tensor,
    setting: Setting,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Weighted squared error of D at log-uniform sigmas; 1 is what silence would cost.

    That is for latents of unit variance. Gradients reach the U-Net alone.

    Parameters
    ----------
    pipeline : diffusers.StableDiffusionLatentUpscalePipeline
    low : (N, 1, H, W) float tensor in [0, 1]
        Sides are multiples of 64.
    high : (N, 1, 2 H, 2 W) float tensor in [0, 1]
    setting : Setting
    generator : torch.Generator, optional
        Draws sigmas, noise and latents; on the images' device.

    Raises
    ------
    ValueError
        If sides do not fit.
    """
    expected = (len(low), 1, *(FACTOR * side for side in low.shape[2:]))
    if high.shape != expected or any(side % GRID for side in low.shape[2:]):
        raise ValueError(
            f"Shapes {tuple(low.shape)} and {tuple(high.shape)} do not fit; sides of the second "
            f"are twice those of the first, which are multiples of {GRID}."
        )
    chance = {"generator": generator, "device": low.device}
    with torch.no_grad():
        known, clean = (latents(pipeline.vae, images, generator) for images in (low, high))
    places = torch.rand(len(low), 1, 1, 1, **chance)
    sigmas = setting.least * (setting.most / setting.least) ** places
    seen = clean + sigmas * torch.randn(clean.shape, **chance)
    error = denoised(pipeline.unet, seen, sigmas, known, setting) - clean
    return ((1 + 1 / sigmas.square()) * error.square()).mean()
