"""From a trained network to a codec's weights: tables of steps, and chances as they are met.

The network was trained as if what rounding leaves followed a normal law. What it does follow is
counted on training pictures, coded with the tables of the normal law, and becomes the tables.
"""

from collections.abc import Iterable, Mapping

import numpy as np
import torch
from torch import Tensor

from helpers.codecs.hyperprior import symbols
from helpers.codecs.hyperprior.floats import analysed
from helpers.codecs.hyperprior.integers import LEVELS, SCALES
from helpers.codecs.hyperprior.model import assembled
from helpers.codecs.hyperprior.stream import AT_PRICE, symbolise
from helpers.models.hyperprior.network import Hyperprior
from helpers.progress import progress

PICTURES = 240  # whose symbols are counted
PRIOR = 200  # answers that the normal law counts as
_ONE = 2**12


def tables(net: Hyperprior, pictures: Iterable[Tensor]) -> dict[str, np.ndarray]:
    """All that a weights file of the codec holds.

    Parameters
    ----------
    net : Hyperprior
        Trained; on the CPU.
    pictures : iterable of (H, W) float32 tensors
        Grey levels less 128 of training pictures; sides are multiples of 16.

    Returns
    -------
    dict of str to array
        See `helpers.codecs.hyperprior.model.assembled`.
    """
    state = {key: values.detach().cpu().half().float() for key, values in net.state_dict().items()}
    arrays = {key: values.numpy() for key, values in state.items()}
    with torch.no_grad():
        steps = net.step(torch.arange(LEVELS) / (LEVELS - 1))[..., 0, 0].double().cpu().numpy()
    arrays["steps"] = np.rint(steps * _ONE).astype(np.int32)
    octaves = np.log2(arrays["spread"].reshape(-1) / (arrays["steps"] / _ONE))
    arrays["octaves"] = np.rint(octaves * _ONE).astype(np.int32)
    prior = net.context
    width = torch.nn.functional.softplus(prior.prior_scale) + 0.05
    scales = (8 * (torch.log2(width) + 4)).round().clamp(0, SCALES - 1)
    arrays["side"] = torch.stack([prior.prior_mean.round(), scales]).detach().int().cpu().numpy()
    arrays["chances"] = symbols.normal_chances().astype(np.int32)
    arrays["chances"] = counted(arrays, pictures)
    return arrays


def counted(arrays: Mapping[str, np.ndarray], pictures: Iterable[Tensor]) -> np.ndarray:
    """Chances of a yes to each question for each scale, counted: (112, 16) int32.

    Parameters
    ----------
    arrays : mapping of str to array
        Weights with preliminary chances.
    pictures : iterable of (H, W) float32 tensors
    """
    model = assembled(arrays)
    asked = np.zeros((SCALES, symbols.QUESTIONS))
    yes = np.zeros_like(asked)

    def write(found, scales):
        size = np.abs(found) >> symbols.shifts(scales)
        for k in range(symbols.QUESTIONS):
            asked[:, k] += np.bincount(scales[size >= k], minlength=SCALES)
            yes[:, k] += np.bincount(scales[size > k], minlength=SCALES)
        return found

    for number, picture in enumerate(progress(list(pictures), "counting")):
        level = number * 37 % LEVELS  # all rates, evenly
        latents, side = analysed(model, picture.numpy(), level)
        symbolise(model, latents, side, level, write, AT_PRICE)
    prior = arrays["chances"] / 2**16
    return np.rint((yes + PRIOR * prior) / (asked + PRIOR) * 2**16).astype(np.int32)
