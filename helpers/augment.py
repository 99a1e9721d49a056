"""Random views of a slice: what a small training set can be stretched to."""

import math

import torch
from torch import Tensor, nn


def random_views(images: Tensor, generator: torch.Generator) -> Tensor:
    """Turn, mirror, scale, shift and re-expose each image at random.

    Rotation by any angle, mirror with probability 1/2, scale 0.8 to 1.5, shift up to 15 % of
    the side, exponent 0.6 to 1.6 on the grey values: slices as they might have come from
    another person or scanner.

    Parameters
    ----------
    images : (N, 1, H, W) float tensor in [0, 1]
    generator : torch.Generator
        On the CPU, so that the views do not depend on the device.

    Returns
    -------
    (N, 1, H, W) float tensor in [0, 1]
    """
    count = len(images)

    def uniform(low: float, high: float) -> Tensor:
        return torch.rand(count, generator=generator) * (high - low) + low

    angle, zoom = uniform(0, 2 * math.pi), uniform(0.8, 1.5)
    mirror = torch.where(uniform(0, 1) < 0.5, -1.0, 1.0)
    shift = torch.stack([uniform(-0.3, 0.3), uniform(-0.3, 0.3)], -1)
    cosine, sine = torch.cos(angle) / zoom, torch.sin(angle) / zoom
    rows = [torch.stack([mirror * cosine, -sine], -1), torch.stack([mirror * sine, cosine], -1)]
    affine = torch.cat([torch.stack(rows, 1), shift[:, :, None]], -1)
    grid = nn.functional.affine_grid(affine.to(images), list(images.shape), align_corners=False)
    views = nn.functional.grid_sample(images, grid, mode="bilinear", align_corners=False)
    exponent = uniform(0.6, 1.6).to(images)[:, None, None, None]
    return views.clamp(0, 1) ** exponent
