"""Training of the networks that enlarge mammograms: auto-encoder, U-Net and super-resolution.

All three learn from squares of tissue; the small square is the large one, reduced as
`helpers.experiments.ldm_mammo.shrink` reduces films. The U-Net may learn from photographs first
and be fine-tuned on mammograms, which the paper leaves for later.
"""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from helpers import weights
from helpers.data import ImageSet, load, splits
from helpers.data.patches import cut
from helpers.data.photographs import NAMES, photographs
from helpers.experiments import cards
from helpers.experiments.ldm_mammo.task import FILM_SIDE, sides_of
from helpers.models.cae import count_parameters
from helpers.models.superres import SuperResolution, enlarge, reduce
from helpers.models.upscaler import LatentUpscaler, build
from helpers.models.upscaler_losses import calibrate, training_loss, vae_loss
from helpers.schedule import Schedule
from helpers.train import fit
from helpers.upscalers import own

SIDE = 128  # of the large squares, in pixels
STRIDE = 32
WATCHED = 64  # held-out squares that are looked at
PHOTOGRAPHS = "photographs"
_CALIBRATED = 256  # squares that the spread of the latents is taken from
_OFTEN = {"measure_every": 1, "checkpoint_every": 1}
RECIPES = {
    "vae": Schedule(200, batch=8, learning_rate=4e-4, **_OFTEN),
    "unet": Schedule(400, batch=8, learning_rate=4e-4, **_OFTEN),
    "superres": Schedule(200, batch=8, learning_rate=4e-4, **_OFTEN),
}
# Network, name of its weights, and weights it begins with, in the order they are trained in.
PLAN = (
    ("vae", own.VAE, None),
    ("unet", own.BEFORE, None),
    ("unet", own.UNET, own.BEFORE),
    ("superres", "superres", None),
)
LOSSES = {
    "vae": "mean absolute error + 1e-6 KL",
    "unet": "mean squared error of v",
    "superres": "mean squared error",
}


class Repeating(nn.Module):
    """The auto-encoder, which is to give back sharp squares as well as enlarged ones."""

    def __init__(self, pipeline: LatentUpscaler):
        super().__init__()
        self.pipeline, self.vae = pipeline, pipeline.vae

    def loss(self, high: Tensor) -> Tensor:
        """See `helpers.models.upscaler_losses.vae_loss`; the two kinds take turns in a batch."""
        blurred = enlarge(reduce(high[1::2])).clamp(0, 1)
        return vae_loss(self.pipeline, torch.cat([high[::2], blurred]))

    def reconstruct(self, high: Tensor) -> Tensor:
        """What comes back of sharp squares, (N, 1, H, W) in [0, 1]."""
        latents = self.vae.encode(2 * high - 1).latent_dist.mode()
        return (self.vae.decode(latents).sample / 2 + 0.5).clamp(0, 1)


class Drawing(nn.Module):
    """The U-Net, which is to draw what the small square leaves open."""

    def __init__(self, pipeline: LatentUpscaler):
        super().__init__()
        self.pipeline, self.unet = pipeline, pipeline.unet

    def loss(self, high: Tensor) -> Tensor:
        """See `helpers.models.upscaler_losses.training_loss`."""
        return training_loss(self.pipeline, reduce(high), high)

    def reconstruct(self, high: Tensor) -> Tensor:
        """What is drawn of the small squares in 20 steps, (N, 1, H, W) in [0, 1]."""
        low = reduce(high)[:, 0].clamp(0, 1).float().cpu().numpy()
        return torch.from_numpy(self.pipeline(low))[:, None].to(high)


class Enlarging(nn.Module):
    """The super-resolution network, which is to come near the large square on average."""

    def __init__(self, network: SuperResolution):
        super().__init__()
        self.network = network

    def loss(self, high: Tensor) -> Tensor:
        """See `helpers.models.superres.SuperResolution.loss`."""
        return self.network.loss(reduce(high), high)

    def reconstruct(self, high: Tensor) -> Tensor:
        """What it makes of the small squares, (N, 1, H, W) in [0, 1]."""
        return self.network(reduce(high)).clamp(0, 1)


def squares(source: str = "auto", limit: int | None = None) -> tuple[ImageSet, ImageSet]:
    """Squares of tissue to learn from and to look at; the films to test on are left out.

    Parameters
    ----------
    source : str
        A source of ``helpers.data.load("mammography")``, or ``"photographs"``. Films already
        reduced to 256 x 256 are taken as they are, others at 1024 x 1024.
    limit : int, optional
        At most this many films, spread evenly over the source, or photographs a side.

    Returns
    -------
    training, watched : ImageSet
        8-bit squares of 128 x 128; of other women, or of the other breast where the source
        has no third woman; of other photographs.
    """
    if source == PHOTOGRAPHS:
        parts = splits.hold_out(photographs(), NAMES[::4])
        training, validation = (part.spread(limit) for part in parts)
    else:
        training, validation = _films(source, limit)
    training, validation = (cut(part, SIDE, STRIDE) for part in (training, validation))
    return training, validation.spread(WATCHED)


def _films(source: str, limit: int | None) -> tuple[ImageSet, ImageSet]:
    """Films to learn from and to look at."""
    side = None if source.endswith("-256") else FILM_SIDE
    films = load("mammography", side, source, limit=limit)
    return sides_of(films)[:2]


def train(
    network: str,
    sources: Sequence[str],
    out: Path,
    schedule: Schedule | None = None,
    *,
    checkpoints: Path | None = None,
    limit: int | None = None,
    begin: str | None = None,
) -> dict:
    """Train one network and write its weights and card.

    Parameters
    ----------
    network : {"vae", "unet", "superres"}
        The U-Net needs the auto-encoder's weights, ``upscaler-vae``.
    sources : sequence of str
        Their training squares are joined.
    out : pathlib.Path
        Where the ``.safetensors`` file goes.
    schedule : Schedule, optional
        Instead of the recipe's.
    checkpoints : pathlib.Path, optional
        Folder from which an interrupted run goes on; each network, schedule, auto-encoder and
        set of squares has a folder of its own in it.
    limit : int, optional
        At most this many films a source.
    begin : str, optional
        Name of the weights that the U-Net begins with: its training is then a fine-tuning.

    Returns
    -------
    dict
        The card.
    """
    if begin and network != "unet":
        raise ValueError(f"Only the U-Net is fine-tuned, not '{network}'; leave out `begin`.")
    schedule = schedule or RECIPES[network]
    found = [squares(source, limit) for source in sources]
    training, watched = zip(*found, strict=True)
    images, held_out = (joined(parts) for parts in (training, watched))
    torch.manual_seed(schedule.seed)
    task, more = prepared(network, images, begin)
    key = cards.key(schedule, training, network, *more)
    history = fit(
        task,
        images,
        schedule,
        held_out=held_out,
        folder=None if checkpoints is None else checkpoints / key,
        description=network,
    )
    about = {
        "name": out.stem,
        "paper": "ldm-mammography",
        "network": network,
        "side": SIDE,
        "loss": LOSSES[network],
        "optimiser": "Adam",
        **_beginning(begin),
        **cards.fitted(schedule, training, watched, history),
    }
    return _saved(network, task, out, about)


def _beginning(begin: str | None) -> dict[str, str]:
    if not begin:
        return {}
    return {"began_with": begin, "began_with_sha256": weights.sha256(begin).hex()}


def joined(parts: Sequence[ImageSet]) -> Tensor:
    """All squares of several sources, (N, 1, H, W) uint8."""
    return torch.from_numpy(np.concatenate([part.stack() for part in parts]))[:, None]


def prepared(network: str, images: Tensor, begin: str | None = None) -> tuple[nn.Module, list[str]]:
    """A network with its loss, ready for `helpers.train.fit`.

    Parameters
    ----------
    network : {"vae", "unet", "superres"}
    images : (N, 1, H, W) uint8 tensor
        The U-Net's latents are scaled by some of them.
    begin : str, optional
        See `train`.

    Returns
    -------
    network : torch.nn.Module
    more : list of str
        What else tells its training from others.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    if network == "vae":
        return Repeating(build().to(device)), [""]
    if network == "superres":
        return Enlarging(SuperResolution()), [""]
    pipeline = own.load_vae().to(device)
    pipeline.vae.requires_grad_(False)
    some = images[:: max(1, len(images) // _CALIBRATED)].to(device).float() / 255
    calibrate(pipeline, reduce(some), some)
    if begin:
        own.fill(pipeline.unet, begin)
    return Drawing(pipeline), [weights.sha256(name).hex() for name in (own.VAE, begin) if name]


def _saved(network: str, task: nn.Module, out: Path, about: dict) -> dict:
    if network == "vae":
        return own.save_vae(task.pipeline, out, about)
    if network == "unet":
        return own.save_unet(task.pipeline, out, about)
    made = task.network
    sizes = {"width": made.width, "blocks": made.blocks, "stored_as": "float16"}
    about |= {"parameters": count_parameters(made)}
    return weights.save(made.state_dict(), out, {**about, **sizes})
