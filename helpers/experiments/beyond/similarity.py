"""The lossy codec's second loss: structural similarity at five scales in place of squared error.

Squared error asks for every pixel, structural similarity (Wang et al. 2003) for edges and textures
in their places. So that both models spend about the same bits at a level, what is lost of MS-SSIM
is first expressed in squared grey levels, as the network trained for squared error exchanges them.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

import piq
import torch
from torch import Tensor

from helpers.models.hyperprior.layout import MIDDLE, price
from helpers.models.hyperprior.network import Hyperprior
from helpers.schedule import Schedule

RECIPE = Schedule(epochs=40, batch=8, learning_rate=3e-4, measure_every=10, checkpoint_every=5)
KNOTS = 9  # rates at which the exchange is measured
BATCHES = 4  # for each of them


@dataclass(frozen=True)
class Similarity:
    """Logarithm of rate plus priced loss of MS-SSIM, a loss for `helpers.experiments.beyond.lossy`.

    Parameters
    ----------
    worth : (K,) tensor
        Squared grey levels that an MS-SSIM of 0 instead of 1 is worth, at K rates spread evenly.
    """

    worth: Tensor

    def __str__(self) -> str:
        worth = ", ".join(f"{number:.0f}" for number in self.worth.tolist())
        return f"1 - MS-SSIM times {worth} squared grey levels, by level"

    def __call__(self, net: Hyperprior, pictures: Tensor, level: Tensor, rounded: bool) -> Tensor:
        """Loss of each picture, (N,)."""
        rate, made = net(pictures, level, rounded)
        at = level * (len(self.worth) - 1)
        low = at.floor().clamp(max=len(self.worth) - 2).long()
        log_worth = self.worth.to(level).log2()
        worth = torch.exp2(log_worth[low] + (at - low) * (log_worth[low + 1] - log_worth[low]))
        return torch.log2(rate + price(level) * worth * lost(made, pictures) + 0.02)


def lost(made: Tensor, pictures: Tensor) -> Tensor:
    """1 less MS-SSIM of each picture.

    Parameters
    ----------
    made, pictures : (N, 1, H, W) float tensors
        Grey levels less 128; sides of 161 at least.

    Returns
    -------
    (N,) tensor
    """
    # in bfloat16 the variances, differences of large squares, would be noise
    with torch.autocast(made.device.type, enabled=False):
        both = [((part.float() + MIDDLE) / 255).clamp(0, 1) for part in (made, pictures)]
        return 1 - piq.multi_scale_ssim(*both, data_range=1.0, reduction="none")


@torch.no_grad()
def exchange(net: Hyperprior, batches: Iterator[Tensor]) -> Tensor:
    """Squared error by loss of MS-SSIM of a trained network, at `KNOTS` rates: (K,) tensor.

    Parameters
    ----------
    net : Hyperprior
        Trained for squared error.
    batches : iterator of (N, 1, H, W) float tensors
    """
    found = []
    for knot in range(KNOTS):
        squared, similar = 0.0, 0.0
        for pictures in islice(batches, BATCHES):
            level = torch.full((len(pictures),), knot / (KNOTS - 1))
            _, made = net(pictures, level, rounded=True)
            squared += float((made - pictures).square().mean())
            similar += float(lost(made, pictures).mean())
        found.append(squared / similar)
    return torch.tensor(found)
