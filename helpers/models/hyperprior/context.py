"""Who knows what about a latent before it is decoded: hyperprior, lower bands, neighbours.

In training all stages are computed at once, from latents with noise in place of rounding. The codec
repeats the same layers stage by stage in whole numbers (`helpers.codecs.hyperprior.integers`).
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.models.hyperprior.layout import (
    BANDS,
    GROUPS,
    LOG_SCALE,
    ORDER,
    SHRINK,
    STAGES,
    STARTS,
)

SLOPE = 0.25  # of LeakyReLU: a quarter is exact in whole numbers, then rounded
SIDE = 16  # channels of the hyper-latent
WIDTH = 128


def stages(height: int, width: int, count: int) -> Tensor:
    """When each position is coded.

    Parameters
    ----------
    height, width : int
    count : {5, 2}
        Stages; with two, the first four of five are one.

    Returns
    -------
    (height, width) int64 tensor
    """
    order = torch.tensor(ORDER).repeat(-(-height // 4), -(-width // 4))[:height, :width]
    return order if count == 5 else (order == 4).long()


class ContextModel(nn.Module):
    """Means and scales of all latents, in units of each band's spread."""

    def __init__(self):
        super().__init__()
        wide = {"kernel_size": 5, "padding": 2}
        self.ask = nn.Sequential(  # the analysis of the hyperprior; the encoder's alone
            nn.Conv2d(BANDS + 1, WIDTH, 3, padding=1),
            nn.LeakyReLU(0.1),
            nn.Conv2d(WIDTH, WIDTH, stride=2, **wide),
            nn.LeakyReLU(0.1),
            nn.Conv2d(WIDTH, SIDE, stride=2, **wide),
        )
        self.prior_mean = nn.Parameter(torch.zeros(SIDE))
        self.prior_scale = nn.Parameter(torch.ones(SIDE))
        self.tell = nn.ModuleList(
            [
                nn.Conv2d(SIDE + 1, 4 * WIDTH, 3, padding=1),
                nn.Conv2d(WIDTH, 4 * WIDTH, 3, padding=1),
                nn.Conv2d(WIDTH, WIDTH, 3, padding=1),
            ]
        )
        self.lower = nn.ModuleList(nn.Conv2d(at, WIDTH, 3, padding=1) for at in STARTS[1:])
        self.near = nn.ModuleList(
            nn.ModuleList(
                nn.Conv2d(
                    group, WIDTH, **(wide if count == 5 else {"kernel_size": 3, "padding": 1})
                )
                for _ in range(count - 1)
            )
            for group, count in zip(GROUPS, STAGES, strict=True)
        )
        self.level = nn.ModuleList(nn.Linear(2, WIDTH) for _ in GROUPS)
        self.mid = nn.ModuleList(
            nn.ModuleList(nn.Conv2d(WIDTH, WIDTH, 1) for _ in range(2)) for _ in GROUPS
        )
        self.out = nn.ModuleList(nn.Conv2d(WIDTH, 2 * group, 1) for group in GROUPS)
        for last in self.out:
            nn.init.zeros_(last.weight)
            nn.init.zeros_(last.bias)

    def hyper_latent(self, latent: Tensor, level: Tensor) -> Tensor:
        """What the encoder says beforehand about (N, 256, h, w) latents, not yet rounded.

        Returns
        -------
        (N, 16, h/4, w/4) tensor, sides rounded up
        """
        known = torch.cat([latent, _plane(level, latent)], 1)
        padding = (0, -latent.shape[3] % SHRINK, 0, -latent.shape[2] % SHRINK)
        return self.ask(F.pad(known, padding, mode="replicate"))

    def hyper(self, side: Tensor, level: Tensor, shape: Sequence[int]) -> Tensor:
        """Features at the latents' (h, w), from the rounded hyper-latent."""
        first, second, third = self.tell
        x = first(torch.cat([side, _plane(level, side)], 1))
        x = second(F.leaky_relu(F.pixel_shuffle(x, 2), SLOPE))
        x = third(F.leaky_relu(F.pixel_shuffle(x, 2), SLOPE))
        return x[:, :, : shape[0], : shape[1]]

    def group(
        self, k: int, hyper: Tensor, lower: Tensor, own: Tensor, level: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Means and log2 scales of the bands of group `k`.

        Parameters
        ----------
        k : int
        hyper : (N, 128, h, w) tensor
        lower : (N, STARTS[k], h, w) tensor
            All lower bands.
        own : (N, GROUPS[k], h, w) tensor
            The group itself; a stage is shown what earlier ones have decoded, no more.
        level : (N,) tensor
        """
        x = hyper + self.level[k](torch.stack([level, level**2], 1))[:, :, None, None]
        if k:
            x = x + self.lower[k - 1](lower)
        stage = stages(*own.shape[2:], STAGES[k]).to(own.device)
        for number, near in enumerate(self.near[k], 1):
            x = x + near(own * (stage < number)) * (stage == number)
        x = F.leaky_relu(x, SLOPE)
        for layer in self.mid[k]:
            x = x + F.leaky_relu(layer(x), SLOPE)
        mean, scale = self.out[k](x).chunk(2, 1)
        return mean, scale - LOG_SCALE


def _plane(level: Tensor, like: Tensor) -> Tensor:
    """The rate as one more channel."""
    return level[:, None, None, None].expand(-1, 1, *like.shape[2:])
