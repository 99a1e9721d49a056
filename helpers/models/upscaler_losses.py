"""What the two networks of the book's own upscaler learn from.

In this order: train the auto-encoder with `vae_loss`, `calibrate`, train the U-Net with
`training_loss`. Taught in the chapter *Latent diffusion for mammograms*.
"""

import torch
from torch import Tensor
from torch.nn.functional import mse_loss

from helpers.models.superres import FACTOR, enlarge
from helpers.models.upscaler import CHANNELS, LatentUpscaler


def vae_loss(
    pipeline: LatentUpscaler,
    images: Tensor,
    generator: torch.Generator | None = None,
    weight: float = 1e-6,
) -> Tensor:
    """Loss of the auto-encoder: mean absolute error plus a little Kullback-Leibler divergence.

    The divergence keeps latents near a normal distribution; at 1e-6 it costs no quality.

    Parameters
    ----------
    pipeline : LatentUpscaler
    images : (N, 1, H, W) float tensor in [0, 1]
        Sides are multiples of 4. Show it sharp images and enlarged ones: c is of the latter.
    generator : torch.Generator, optional
        For the latents drawn; on the images' device.
    weight : float
        Of the divergence, in nats a pixel.
    """
    target = 2 * images - 1
    posterior = pipeline.vae.encode(target).latent_dist
    again = pipeline.vae.decode(posterior.sample(generator)).sample
    return (again - target).abs().mean() + weight * posterior.kl().sum() / images.numel()


@torch.no_grad()
def calibrate(pipeline: LatentUpscaler, low: Tensor, high: Tensor) -> None:
    """Set ``scaling_factor`` and ``spread`` from images, once the auto-encoder is trained.

    Parameters
    ----------
    pipeline : LatentUpscaler
    low : (N, 1, H, W) float tensor in [0, 1]
    high : (N, 1, 2 H, 2 W) float tensor in [0, 1]

    Raises
    ------
    ValueError
        If latents, or their differences, do not vary at all.
    """
    latents, nearly = (pipeline.latents(images) for images in (high, enlarge(low)))
    unit = float(latents.std()) / pipeline.vae.config.scaling_factor
    spread = float((latents - nearly).square().mean().sqrt()) / pipeline.vae.config.scaling_factor
    if not (unit > 0 and spread > 0):
        raise ValueError("These images have no detail to learn from; take others.")
    pipeline.vae.register_to_config(scaling_factor=1 / unit)
    pipeline.register_to_config(spread=spread / unit)


def training_loss(
    pipeline: LatentUpscaler,
    low: Tensor,
    high: Tensor,
    generator: torch.Generator | None = None,
) -> Tensor:
    """Loss of the U-Net: mean squared error of v at random times; 1 is what silence would cost.

    Gradients reach the U-Net alone.

    Parameters
    ----------
    pipeline : LatentUpscaler
        Calibrated.
    low : (N, 1, H, W) float tensor in [0, 1]
        Sides are multiples of ``pipeline.grid``.
    high : (N, 1, 2 H, 2 W) float tensor in [0, 1]
    generator : torch.Generator, optional
        Draws times and noise; on the images' device.

    Raises
    ------
    ValueError
        If sides do not fit.
    """
    expected = (len(low), 1, *(FACTOR * side for side in low.shape[2:]))
    if high.shape != expected or any(side % pipeline.grid for side in low.shape[2:]):
        raise ValueError(
            f"Shapes {tuple(low.shape)} and {tuple(high.shape)} do not fit; sides of the second "
            f"are twice those of the first, which are multiples of {pipeline.grid}."
        )
    scheduler, chance = pipeline.scheduler, {"generator": generator, "device": low.device}
    with torch.no_grad():
        known = pipeline.known(low)
        rest = (pipeline.latents(high) - known[:, :CHANNELS]) / pipeline.config.spread
    times = torch.randint(scheduler.config.num_train_timesteps, (len(low),), **chance)
    noise = torch.randn(rest.shape, **chance)
    seen = scheduler.add_noise(rest, noise, times)
    velocity = pipeline.unet(torch.cat([seen, known], 1), times).sample
    return mse_loss(velocity, scheduler.get_velocity(rest, noise, times))
