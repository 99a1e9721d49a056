"""The network of the lossless codec: from what is known of a pixel to how likely its values are.

Two hidden layers see the features of `helpers.codecs.causal.scene`; the last layer sees them once
more and gives a mixture of logistic distributions around a guess (Salimans et al. 2017), for each
component a weight, a shift and a scale in units of the errors nearby. It is trained in floats with
the code length itself as loss, and runs in whole numbers
(`helpers.codecs.causal.network.load`).

Taught in *Beyond the papers*.
"""

import numpy as np
import torch
from torch import Tensor, nn

from helpers.codecs.causal.network import CAP, HIDDEN, INPUT
from helpers.codecs.causal.scene import FEATURES
from helpers.codecs.causal.tables import LEVELS

COMPONENTS = 3
_GROUND = 2.0**-20  # chance that every value has at least
_SHARE = 1 - 2.0**-12  # of the mixture, beside that ground
# half the mean error, where all is still, in grey levels: the scale that the network corrects
_SCALE, _LEAST, _STILL = 0.55, -4.0, 0.02


class ContextNet(nn.Module):
    """The network in floats.

    Parameters
    ----------
    first, second : int
        Hidden units.
    components : int
        Of the mixture.
    inputs : int
        Features; the codec takes networks with `FEATURES` of them.
    """

    def __init__(
        self,
        first: int = 128,
        second: int = 64,
        components: int = COMPONENTS,
        inputs: int = FEATURES,
    ):
        super().__init__()
        self.first = nn.Linear(inputs, first)
        self.second = nn.Linear(first, second)
        self.last = nn.Linear(second + inputs, 3 * components)
        nn.init.zeros_(self.last.weight)  # begins with the linear guesses and spread-out scales
        spread = torch.linspace(-0.8, 0.8, components)
        with torch.no_grad():
            self.last.bias.copy_(torch.cat([torch.zeros(2 * components), spread]))
        sizes = 2.0 ** (np.arange(LEVELS) / 8) / 16
        self.register_buffer("sizes", torch.tensor(sizes, dtype=torch.float32), persistent=False)

    def forward(self, features: Tensor) -> Tensor:
        """Return weights' logits, shifts and logarithms of scales.

        Parameters
        ----------
        features : (N, inputs) tensor
            Of `helpers.codecs.causal.walk.observe`, -511 to 511.

        Returns
        -------
        (N, 3 * components) float tensor
        """
        units = features.float() / INPUT
        hidden = self.first(units).clamp(0, CAP / HIDDEN)
        hidden = self.second(hidden).clamp(0, CAP / HIDDEN)
        return self.last(torch.cat([hidden, units], 1))

    def bits(self, features: Tensor, facts: Tensor) -> Tensor:
        """Bits that each pixel would cost without the mixing of `helpers.codecs.causal.mixing`.

        Parameters
        ----------
        features : (N, inputs) tensor
        facts : (N, 4) int tensor
            Guess in 1/16 grey levels, level of the errors nearby, the pixel and the largest of
            its image, whose smallest is 0.

        Returns
        -------
        (N,) float tensor
        """
        weight, shift, spread = self(features).chunk(3, dim=1)
        size = self.sizes[facts[:, 1].long()][:, None]
        mean = facts[:, :1] / 16 + shift * size
        slope = torch.exp(-(spread + torch.log(_SCALE * size + _STILL)).clamp(min=_LEAST))
        pixel = facts[:, 2:3].float()
        above = torch.sigmoid((pixel + 0.5 - mean) * slope)
        below = torch.sigmoid((pixel - 0.5 - mean) * slope)
        above = torch.where(pixel >= facts[:, 3:], torch.ones_like(above), above)
        below = torch.where(pixel <= 0, torch.zeros_like(below), below)
        chance = (weight.softmax(1) * (above - below)).sum(1)
        return -torch.log2(_SHARE * chance + _GROUND)
