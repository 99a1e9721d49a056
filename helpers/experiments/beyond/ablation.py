"""What the parts of the context model buy: variants of it, each trained anew for the same time.

The transform and its steps are those of trained weights and stay as they are, and every latent is
rounded to whole steps, whatever mean a variant expects. So all variants code the very same numbers
and make the very same picture; the rate alone differs.
"""

import copy
import time
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor, nn

from helpers.experiments.beyond.lossy import descend, optimisers_of
from helpers.experiments.beyond.rates import padded
from helpers.models.hyperprior.context import SIDE, WIDTH, ContextModel
from helpers.models.hyperprior.layout import GROUPS, SHRINK, STARTS
from helpers.models.hyperprior.network import Hyperprior, gaussian_bits, widened
from helpers.progress import live

LEARNING_RATE = 1e-3  # Adam's; Muon has that of the codec's own training
WARM, DECAY = 0.1, 0.4  # shares of the steps in which the rates rise, and fall to 0
FLOOR = 0.02  # bits a pixel that are added before the logarithm, so that black crops do not rule


class Parts(NamedTuple):
    """What a variant may know of a latent before it is coded.

    Parameters
    ----------
    hyperprior : bool
        What the encoder sends beforehand.
    lower : bool
        The lower bands.
    neighbours : {"", "checkerboard", "stages"}
        None; those in two stages for all bands; those in five for the lowest two groups.
    """

    hyperprior: bool
    lower: bool
    neighbours: str


EVERYTHING = "everything"
SHIPPED = "as shipped"  # the context model of the trained weights
VARIANTS = {
    "one law a band": Parts(False, False, ""),
    "hyperprior": Parts(True, False, ""),
    "hyperprior, lower bands": Parts(True, True, ""),
    "hyperprior, neighbours": Parts(True, False, "stages"),
    "lower bands, neighbours": Parts(False, True, "stages"),
    "everything, two stages": Parts(True, True, "checkerboard"),
    EVERYTHING: Parts(True, True, "stages"),
}


class Coded(NamedTuple):
    """Latents of some pictures of one size, as a decoder gets them.

    Parameters
    ----------
    whole : (N, 256, h, w) int16 tensor
        In steps.
    level : (N,) float tensor
        Rates, 0 to 1.
    """

    whole: Tensor
    level: Tensor


class Silent(nn.Module):
    """A layer's place, without the layer: zeros, whatever comes in.

    Parameters
    ----------
    channels : int
        Of the output.
    shrink : int
        How many times smaller the output is.
    """

    def __init__(self, channels: int, shrink: int = 1):
        super().__init__()
        self.channels, self.shrink = channels, shrink

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, channels, H/shrink, W/shrink) zeros."""
        return x.new_zeros(len(x), self.channels, *(side // self.shrink for side in x.shape[2:]))


def silenced(context: ContextModel, parts: Parts) -> ContextModel:
    """Take out, in place, the layers through which a context model knows other parts than these.

    Parameters
    ----------
    context : ContextModel
    parts : Parts

    Returns
    -------
    ContextModel
        The same.
    """
    if not parts.hyperprior:
        context.ask = Silent(SIDE, SHRINK)
        context.tell = nn.ModuleList(Silent(channels) for channels in (4 * WIDTH, 4 * WIDTH, WIDTH))
    if not parts.lower:
        context.lower = nn.ModuleList(Silent(WIDTH) for _ in GROUPS[1:])
    for near in context.near:
        # the last of five stages sees all earlier ones: alone it is a checkerboard's second stage
        kept = {"": 0, "checkerboard": 1, "stages": len(near)}[parts.neighbours]
        for number in range(len(near) - kept):
            near[number] = Silent(WIDTH)
    return context


def variant(trained: Hyperprior, parts: Parts | None, seed: int = 0) -> Hyperprior:
    """A trained network with an untrained context model of these parts.

    Parameters
    ----------
    trained : Hyperprior
        Left as it is.
    parts : Parts or None
        None leaves the trained context model.
    seed : int
        Of the weights it begins with, which are the same wherever variants have the same layer.
    """
    net = copy.deepcopy(trained)
    if parts is not None:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            net.context = silenced(ContextModel(), parts)
    return net.to(memory_format=torch.channels_last)


@torch.no_grad()
def coded(net: Hyperprior, pictures: Tensor, level: Tensor) -> Coded:
    """Latents of (N, 1, H, W) grey levels less 128, rounded to whole steps at (N,) rates."""
    whole = torch.round(net.analyse(pictures, level) / net.step(level))
    return Coded(whole.clamp(-(2**15), 2**15 - 1).to(torch.int16), level)


def coded_image(net: Hyperprior, image: np.ndarray, level: float) -> Coded:
    """The same of one (H, W) uint8 image; sides are padded to multiples of 16."""
    picture = torch.from_numpy(padded(image))[None, None]
    return coded(net, picture.contiguous(memory_format=torch.channels_last), torch.tensor([level]))


def bits(net: Hyperprior, known: Coded, hyperprior: bool = True) -> Tensor:
    """Bits of all latents of each picture under the laws its context model gives, (N,).

    Parameters
    ----------
    net : Hyperprior
        From `variant`.
    known : Coded
    hyperprior : bool
        Count the hyper-latent's own bits, too.
    """
    level, context = known.level, net.context
    with torch.no_grad():
        unit = net.spread / net.step(level)  # steps in a band's spread
    whole = known.whole.float().contiguous(memory_format=torch.channels_last)
    latents = whole / unit
    side = context.hyper_latent(latents, level)
    side = side + (torch.round(side) - side).detach()  # slope 1
    hyper = context.hyper(side, level, latents.shape[2:])
    total = net.side_bits(side).sum((1, 2, 3)) if hyperprior else torch.zeros_like(level)
    for k, (start, size) in enumerate(zip(STARTS, GROUPS, strict=True)):
        part = slice(start, start + size)
        mean, scale = context.group(k, hyper, latents[:, :start], latents[:, part], level)
        width = widened(scale + torch.log2(unit[:, part]))
        total = total + gaussian_bits(whole[:, part] - mean * unit[:, part], width).sum((1, 2, 3))
    return total


def fit(net: Hyperprior, batches: Sequence[Coded], parts: Parts) -> dict:
    """Train the context model of a variant in place, a step a batch.

    Parameters
    ----------
    net : Hyperprior
        From `variant`.
    batches : sequence of Coded
    parts : Parts
        Of the variant.

    Returns
    -------
    dict
        ``parameters``, ``steps``, ``seconds``, ``loss`` (mean log2 of bits a pixel over the last
        tenth of the steps).
    """
    context = net.context.train()
    optimisers = optimisers_of(context, LEARNING_RATE)
    rates = [optimiser.param_groups[0]["lr"] for optimiser in optimisers]
    losses, began = [], time.perf_counter()
    for number, batch in enumerate(batches):
        done = number / len(batches)
        share = min(1, (done + 1 / len(batches)) / WARM, (1 - done) / DECAY)
        for rate, optimiser in zip(rates, optimisers, strict=True):
            optimiser.param_groups[0]["lr"] = rate * share
        rate = bits(net, batch, parts.hyperprior) / batch.whole[0].numel()
        losses.append(descend(context, torch.log2(rate + FLOOR).mean(), optimisers))
        live(f"step {number + 1}/{len(batches)} {losses[-1]:.3f}")
    live("")
    context.eval()
    return {
        "parameters": sum(values.numel() for values in context.parameters()),
        "steps": len(batches),
        "seconds": time.perf_counter() - began,
        "loss": float(np.mean(losses[-max(1, len(losses) // 10) :])),
    }


def batches_of(net: Hyperprior, crops: Iterable[Tensor], seed: int) -> list[Coded]:
    """Batches of crops, analysed once for all variants, each crop at a rate drawn at random."""
    chance, found = torch.Generator().manual_seed(seed), []
    for pictures in crops:
        found.append(coded(net, pictures, torch.rand(len(pictures), generator=chance)))
        live(f"analysing {len(found)}")
    live("")
    return found
