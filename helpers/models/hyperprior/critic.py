"""The critic of an adversarial codec: whether a picture is real, given what its file says.

After HiFiC (Mentzer et al. 2020). The critic sees a picture beside the latents that it was made
from, so a decoder cannot win by painting a convincing picture of something else. Its verdict is a
map: one logit for every eight by eight pixels. Taught in the section "A decoder that believes too
much" of *Beyond the papers: a lossy codec that learns*.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm

from helpers.models.hyperprior.layout import BANDS, BLOCK

WIDTHS = (48, 96, 192)
_TOLD = 12  # channels in which the latents are summed up


class Critic(nn.Module):
    """Patches of a picture to logits: above 0 for real."""

    def __init__(self):
        super().__init__()
        self.tell = nn.Conv2d(BANDS, _TOLD, 3, padding=1)
        inputs = (1 + _TOLD, *WIDTHS)
        self.layers = nn.ModuleList(
            spectral_norm(nn.Conv2d(before, after, 4, stride=2, padding=1))
            for before, after in zip(inputs, WIDTHS, strict=False)
        )
        self.last = spectral_norm(nn.Conv2d(WIDTHS[-1], 1, 1))

    def forward(self, pictures: Tensor, latents: Tensor) -> Tensor:
        """Judge some pictures.

        Parameters
        ----------
        pictures : (N, 1, H, W) float tensor
            Grey levels less 128, by 64.
        latents : (N, 256, H/16, W/16) float tensor
            By each band's spread.

        Returns
        -------
        (N, 1, H/8, W/8) float tensor
        """
        told = F.leaky_relu(self.tell(latents), 0.2)
        x = torch.cat([pictures, F.interpolate(told, scale_factor=BLOCK)], 1)
        for layer in self.layers:
            x = F.leaky_relu(layer(x), 0.2)
        return self.last(x)
