"""The transform of the lossy codec: a cosine transform that networks correct.

Sixteen pixels a side become 256 frequencies, as in JPEG with blocks twice as wide. A network looks
at the picture and adds to these latents what the blocks cannot know of each other; another one
adds to the picture that they give back. Both begin at zero, so that an untrained codec is already
a decent one and training only has to find what a fixed transform misses.

Inside, a network works at a quarter, an eighth and a sixteenth of the resolution. Taught in the
section "Two networks around a cosine transform" of
*Beyond the papers: a lossy codec that learns*.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.models.hyperprior.layout import BANDS, BLOCK

WIDTHS = (64, 96, 128)  # channels at 1/4, 1/8 and 1/16


def cosines() -> Tensor:
    """Orthonormal cosine transform of a block, bands by rising frequency.

    Returns
    -------
    (256, 1, 16, 16) float32 tensor
    """
    n = np.arange(BLOCK)
    rows = np.cos(np.pi * (n + 0.5) * n[:, None] / BLOCK) * np.sqrt(2 / BLOCK)
    rows[0] /= np.sqrt(2)
    bands = np.einsum("ux,vy->uvxy", rows, rows).reshape(BANDS, 1, BLOCK, BLOCK)
    frequency = n[:, None] ** 2 + n**2 + 0.01 * n[:, None]  # of two alike, the upright one first
    return torch.tensor(bands[np.argsort(frequency.ravel(), kind="stable")], dtype=torch.float32)


class Level(nn.Module):
    """Scale and shift of every channel, depending on the rate.

    Parameters
    ----------
    channels : int
    """

    def __init__(self, channels: int):
        super().__init__()
        self.net = nn.Sequential(nn.Linear(1, 16), nn.SiLU(), nn.Linear(16, 2 * channels))
        nn.init.zeros_(self.net[2].weight)
        nn.init.zeros_(self.net[2].bias)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """Modulate (N, C, H, W) features by the (N,) rates in [0, 1]."""
        scale, shift = self.net(2 * level[:, None] - 1).to(x.dtype)[..., None, None].chunk(2, 1)
        return x * (1 + scale) + shift


class Same(nn.Module):
    """What a `Level` becomes where the rate is always the same and its factors are in weights."""

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """Return the features as they are."""
        return x


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity; the rate tunes what is between them."""

    def __init__(self, channels: int):
        super().__init__()
        self.one, self.two = (nn.Conv2d(channels, channels, 3, 1, 1) for _ in range(2))
        nn.init.normal_(self.two.weight, std=0.002)
        nn.init.zeros_(self.two.bias)
        self.level = Level(channels)

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """Return features of the same shape."""
        return x + self.two(F.leaky_relu(self.level(self.one(x), level), 0.1))


class Stack(nn.ModuleList):
    """Residual blocks in a row."""

    def __init__(self, channels: int, count: int):
        super().__init__(Residual(channels) for _ in range(count))

    def forward(self, x: Tensor, level: Tensor) -> Tensor:
        """Return features of the same shape."""
        for block in self:
            x = block(x, level)
        return x


class Analysis(nn.Module):
    """What is added to the cosine transform of a picture.

    Parameters
    ----------
    blocks : tuple of three int
        Residual blocks at 1/4, 1/8 and 1/16.
    """

    def __init__(self, blocks: tuple[int, int, int] = (1, 1, 1)):
        super().__init__()
        quarter, eighth, sixteenth = WIDTHS
        self.first = nn.Conv2d(16, quarter, 3, 1, 1)
        self.stacks = nn.ModuleList(map(Stack, WIDTHS, blocks))
        self.down = nn.ModuleList(
            [nn.Conv2d(quarter, eighth, 3, 2, 1), nn.Conv2d(eighth, sixteenth, 3, 2, 1)]
        )
        self.last = _silent(nn.Conv2d(sixteenth, BANDS, 3, 1, 1))

    def forward(self, picture: Tensor, level: Tensor) -> Tensor:
        """(N, 1, H, W) around 0 and of about unit spread to (N, 256, H/16, W/16)."""
        x = self.stacks[0](self.first(F.pixel_unshuffle(picture, 4)), level)
        for down, stack in zip(self.down, self.stacks[1:], strict=True):
            x = stack(down(x), level)
        return self.last(F.leaky_relu(x, 0.1))


class Synthesis(nn.Module):
    """What is added to the picture that the inverse cosine transform gives.

    Parameters
    ----------
    blocks : tuple of three int
        Residual blocks at 1/4, 1/8 and 1/16.
    """

    def __init__(self, blocks: tuple[int, int, int] = (2, 2, 1)):
        super().__init__()
        quarter, eighth, sixteenth = WIDTHS
        self.first = nn.Conv2d(BANDS, sixteenth, 3, 1, 1)
        self.stacks = nn.ModuleList(map(Stack, WIDTHS, blocks))
        self.up = nn.ModuleList(
            [nn.Conv2d(sixteenth, 4 * eighth, 1), nn.Conv2d(eighth, 4 * quarter, 1)]
        )
        self.seen = nn.Conv2d(16, quarter, 3, 1, 1)
        self.last = _silent(nn.Conv2d(quarter, 16, 3, 1, 1))

    def forward(self, latent: Tensor, picture: Tensor, level: Tensor) -> Tensor:
        """(N, 256, H/16, W/16) and the (N, 1, H, W) picture so far to (N, 1, H, W)."""
        x = self.stacks[2](self.first(latent), level)
        x = self.stacks[1](F.pixel_shuffle(self.up[0](x), 2), level)
        x = F.pixel_shuffle(self.up[1](x), 2) + self.seen(F.pixel_unshuffle(picture, 4))
        x = self.stacks[0](x, level)
        return F.pixel_shuffle(self.last(F.leaky_relu(x, 0.1)), 4)


def _silent(layer: nn.Conv2d) -> nn.Conv2d:
    """Let a layer begin with an output of zero."""
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    return layer


@torch.no_grad()
def fixed(part: nn.Module, level: float) -> nn.Module:
    """Turn an analysis or synthesis for all rates into one for a single rate, in place.

    Parameters
    ----------
    part : Analysis or Synthesis
    level : float
        From 0 to 1.

    Returns
    -------
    torch.nn.Module
        The same one, which gives what it gave at that level, whatever level it is told.
    """
    for block in part.modules():
        if isinstance(block, Residual) and isinstance(block.level, Level):
            weight, bias = block.one.weight, block.one.bias
            told = torch.full((1,), level, device=weight.device)
            unit = torch.ones(1, weight.shape[0], 1, 1, device=weight.device)
            shift = block.level(0 * unit, told).reshape(-1)
            scale = block.level(unit, told).reshape(-1) - shift
            weight.mul_(scale[:, None, None, None])
            bias.mul_(scale).add_(shift)
            block.level = Same()
    return part
