"""The lossy codec's network as it is trained: one model for all rates.

Latents are quantised after they are divided by a step, one for each band and rate (gain units,
Cui et al. 2021), less a mean that the context model predicts (Minnen et al. 2018). Rounding has no
slope to follow, so the rate is that of latents with uniform noise added (Balle et al. 2017) and
the picture is made of rounded ones, whose slope is taken to be 1. Towards the end of the training
the rate is that of rounded latents, too (Guo et al. 2021): a latent that is certain to round to 0
costs nothing, and with noise it never looks certain.

Taught in the section "One loss for rate and distortion" of
*Beyond the papers: a lossy codec that learns*.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers.models.hyperprior.context import ContextModel
from helpers.models.hyperprior.layout import BANDS, BLOCK, GROUPS, STARTS, price, usual_step
from helpers.models.hyperprior.transform import Analysis, Synthesis, cosines

UNIT = 64  # grey levels that are 1 inside the networks
KNOTS = 9  # of the curve of steps over the rate
NARROWEST = 0.08  # scale, in steps


class Hyperprior(nn.Module):
    """Picture to bits and back, estimated.

    Parameters
    ----------
    spread : (256,) float tensor, optional
        Root mean square of each band of the cosine transform over the training images, in grey
        levels. The networks see latents divided by it.
    """

    def __init__(self, spread: Tensor | None = None):
        super().__init__()
        self.register_buffer("cosines", cosines(), persistent=False)
        spread = torch.ones(BANDS) if spread is None else spread.float()
        self.register_buffer("spread", spread.reshape(BANDS, 1, 1))
        self.analysis, self.synthesis, self.context = Analysis(), Synthesis(), ContextModel()
        knots = usual_step(torch.linspace(0, 1, KNOTS))
        self.log_step = nn.Parameter(torch.log2(knots)[:, None].repeat(1, BANDS))

    def step(self, level: Tensor) -> Tensor:
        """Quantisation step of every band at (N,) rates: (N, 256, 1, 1), in grey levels."""
        at = level * (KNOTS - 1)
        low = at.floor().clamp(max=KNOTS - 2).long()
        part = (at - low)[:, None]
        between = self.log_step[low] * (1 - part) + self.log_step[low + 1] * part
        return torch.exp2(between)[..., None, None]

    def analyse(self, pictures: Tensor, level: Tensor) -> Tensor:
        """Latents of (N, 1, H, W) grey levels less 128: (N, 256, H/16, W/16), in grey levels."""
        linear = F.conv2d(pictures, self.cosines, stride=BLOCK)
        return linear + UNIT * self.analysis(pictures / UNIT, level).float()

    def synthesise(self, latents: Tensor, level: Tensor) -> Tensor:
        """Back to (N, 1, H, W) grey levels less 128."""
        linear = F.conv_transpose2d(latents, self.cosines, stride=BLOCK)
        correction = self.synthesis(latents / self.spread, linear / UNIT, level)
        return linear + UNIT * correction.float()

    def forward(
        self, pictures: Tensor, level: Tensor, rounded: bool = False
    ) -> tuple[Tensor, Tensor]:
        """Estimate the rate and make the picture.

        Parameters
        ----------
        pictures : (N, 1, H, W) float tensor
            Grey levels less 128; sides are multiples of 16.
        level : (N,) float tensor
            Rate, 0 (fewest bits) to 1.
        rounded : bool
            Count the bits of rounded latents, as the codec will, and not of noisy ones.

        Returns
        -------
        rate : (N,) tensor, bits a pixel
        pictures : (N, 1, H, W) tensor, not rounded
        """
        latents = self.analyse(pictures, level)
        step = self.step(level)
        with torch.autocast(latents.device.type, enabled=False):
            side = self.context.hyper_latent(latents / self.spread, level)
            hyper = self.context.hyper(_rounded(side), level, latents.shape[2:])
            symbols = _rounded if rounded else _noisy
            bits = self.side_bits(symbols(side)).sum((1, 2, 3))
            known, made = latents + step * _noise(latents), []
            for k, (start, size) in enumerate(zip(STARTS, GROUPS, strict=True)):
                part = slice(start, start + size)
                in_steps, unit = latents[:, part] / step[:, part], self.spread[part] / step[:, part]
                context = (known / self.spread)[:, :start], (known / self.spread)[:, part]
                mean, scale = self.context.group(k, hyper, *context, level)
                mean, scale = mean * unit, widened(scale + torch.log2(unit))
                missed = symbols(in_steps - mean)
                bits = bits + gaussian_bits(missed, scale).sum((1, 2, 3))
                made.append((_rounded(in_steps - mean) + mean) * step[:, part])
                if rounded:  # higher bands see what the decoder will have
                    known = torch.cat([*made, known[:, start + size :]], 1)
        picture = self.synthesise(torch.cat(made, 1), level)
        return bits / pictures[0, 0].numel(), picture

    def side_bits(self, side: Tensor) -> Tensor:
        """Bits of each value of the hyper-latent under its channel's normal law."""
        scale = F.softplus(self.context.prior_scale)[:, None, None] + 0.05
        return gaussian_bits(side - self.context.prior_mean[:, None, None], scale)


def cost(rate: Tensor, made: Tensor, pictures: Tensor, level: Tensor) -> Tensor:
    """Rate plus priced squared error, in bits a pixel, (N,)."""
    return rate + price(level) * (made - pictures).square().mean((1, 2, 3))


def widened(log_scale: Tensor) -> Tensor:
    """Scales in steps from their log2, none below `NARROWEST`."""
    return _AtLeast.apply(torch.exp2(log_scale.clamp(-20, 14)), NARROWEST)


def gaussian_bits(value: Tensor, scale: Tensor) -> Tensor:
    """Bits of the unit interval around a value under a normal law of mean 0."""
    value = value.abs()
    above = [0.5 * torch.erfc((value + half) / scale * 0.5**0.5) for half in (-0.5, 0.5)]
    return -torch.log2((above[0] - above[1]).clamp_min(2**-24))


class _AtLeast(torch.autograd.Function):
    """A lower bound that lets through the slopes that lead back over it."""

    @staticmethod
    def forward(ctx, values, bound):
        ctx.save_for_backward(values >= bound)
        return values.clamp_min(bound)

    @staticmethod
    def backward(ctx, slope):
        (inside,) = ctx.saved_tensors
        return slope * (inside | (slope < 0)), None


def _rounded(values: Tensor) -> Tensor:
    return values + (torch.round(values) - values).detach()


def _noise(values: Tensor) -> Tensor:
    return torch.rand_like(values) - 0.5


def _noisy(values: Tensor) -> Tensor:
    return values + _noise(values)
