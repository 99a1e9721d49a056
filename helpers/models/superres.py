"""A small super-resolution network trained for PSNR, after EDSR (Lim et al. 2017).

What an upscaler can do without inventing anything: the rival that the chapter *Latent diffusion
for mammograms* sets beside the diffusion models.
"""

import torch
from torch import Tensor, nn

FACTOR = 2


def enlarge(images: Tensor, factor: int = FACTOR) -> Tensor:
    """Bicubic enlargement, the same filter as Pillow's.

    Parameters
    ----------
    images : (N, C, H, W) float tensor
    factor : int

    Returns
    -------
    (N, C, factor H, factor W) float tensor
        May exceed the input's range slightly: bicubic filters overshoot at edges.
    """
    # without `antialias` PyTorch takes a sharper cubic (a = -0.75) and repeats border pixels
    return nn.functional.interpolate(images, scale_factor=factor, mode="bicubic", antialias=True)


def reduce(images: Tensor) -> Tensor:
    """Bicubic reduction to half the sides, averaging as torchvision does with anti-aliasing.

    Parameters
    ----------
    images : (N, C, H, W) float tensor
        Sides are even.

    Returns
    -------
    (N, C, H/2, W/2) float tensor
        May exceed the input's range slightly.
    """
    scale = 1 / FACTOR
    return nn.functional.interpolate(images, scale_factor=scale, mode="bicubic", antialias=True)


class Block(nn.Module):
    """Two 3x3 convolutions with a ReLU between them, added to their input; no normalisation."""

    def __init__(self, width: int):
        super().__init__()
        self.body = nn.Sequential(
            nn.Conv2d(width, width, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1),
        )

    def forward(self, features: Tensor) -> Tensor:
        """Map (N, width, H, W) to the same shape."""
        return features + self.body(features)


class SuperResolution(nn.Module):
    """Residual blocks at the low resolution, then a pixel shuffle to twice the sides.

    What the network computes is added to a bicubic enlargement. Its last layer starts at
    zero, so an untrained network is the bicubic enlargement. 438,676 parameters by default.

    Parameters
    ----------
    width : int
        Channels of every block.
    blocks : int
    """

    def __init__(self, width: int = 48, blocks: int = 10):
        super().__init__()
        self.width, self.blocks = width, blocks
        self.head = nn.Conv2d(1, width, 3, padding=1)
        trunk = [Block(width) for _ in range(blocks)]
        self.trunk = nn.Sequential(*trunk, nn.Conv2d(width, width, 3, padding=1))
        self.tail = nn.Conv2d(width, FACTOR**2, 3, padding=1)
        nn.init.zeros_(self.tail.weight)
        nn.init.zeros_(self.tail.bias)

    def forward(self, low: Tensor) -> Tensor:
        """Double the sides of a batch.

        Parameters
        ----------
        low : (N, 1, H, W) float tensor in [0, 1]
            Any sides.

        Returns
        -------
        (N, 1, 2 H, 2 W) float tensor
            Not clipped to [0, 1], so that gradients pass everywhere.
        """
        features = self.head(low)
        detail = self.tail(features + self.trunk(features))
        return enlarge(low) + nn.functional.pixel_shuffle(detail, FACTOR)

    def loss(self, low: Tensor, high: Tensor) -> Tensor:
        """Mean squared error against the true image, which is PSNR's own measure.

        Parameters
        ----------
        low : (N, 1, H, W) float tensor in [0, 1]
        high : (N, 1, 2 H, 2 W) float tensor in [0, 1]

        Raises
        ------
        ValueError
            If the sides of `high` are not twice those of `low`; a mean over broadcast shapes
            would train without a word.
        """
        doubled = (*low.shape[:2], FACTOR * low.shape[2], FACTOR * low.shape[3])
        if high.shape != doubled:
            raise ValueError(
                f"Images of shape {tuple(high.shape)} are not twice the size of those of shape "
                f"{tuple(low.shape)}; pair each image with itself at half the size."
            )
        return torch.nn.functional.mse_loss(self(low), high)
