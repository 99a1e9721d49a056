"""Training of the lossy codec's network, resumable."""

import copy
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import islice
from pathlib import Path

import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers import weights
from helpers.codecs.hyperprior.model import trained
from helpers.experiments import cards
from helpers.experiments.beyond import calibration, pictures, similarity
from helpers.experiments.beyond.states import keep, taken_up
from helpers.models.hyperprior import network
from helpers.models.hyperprior.layout import BANDS, BLOCK
from helpers.models.hyperprior.transform import cosines
from helpers.progress import live
from helpers.schedule import Schedule

STEPS = 100  # of an epoch: the data are endless
RECIPE = Schedule(epochs=160, batch=8, learning_rate=1e-3, measure_every=10, checkpoint_every=5)
MUON = 0.01  # learning rate of the convolutions
WARM = 200  # steps in which both rates rise
DECAY = 0.4  # share of the epochs at the end in which they fall to 0, and latents are rounded
EXACT = 0.05  # share of the epochs at the end that are computed in float32, the others in bfloat16
SPREAD_FROM = 200  # batches
HELD_OUT = 64  # crops that are watched
_LAST = (".last.", ".out.", "ask.4")  # layers with an output that means something by itself

Loss = Callable[[network.Hyperprior, Tensor, Tensor, bool], Tensor]


def train(
    out: Path,
    schedule: Schedule = RECIPE,
    *,
    checkpoints: Path | None = None,
    limit: int | None = None,
    begin: str | None = None,
) -> dict:
    """Train the network on all albums and write the codec's weights and card.

    Parameters
    ----------
    out : pathlib.Path
        Where the ``.safetensors`` file goes.
    schedule : Schedule
    checkpoints : pathlib.Path, optional
        Folder from which an interrupted run goes on.
    limit : int, optional
        At most this many pictures an album.
    begin : str, optional
        Weights trained for squared error, to go on from for MS-SSIM.

    Returns
    -------
    dict
        The card.
    """
    places = {part: pictures.albums(part, limit) for part in ("train", "test")}
    images = [[album.images for album in places[part]] for part in ("train", "test")]
    torch.manual_seed(schedule.seed)
    crops = pictures.Crops(places["train"], schedule.batch, schedule.seed)
    held_out = next(iter(pictures.Crops(places["test"], HELD_OUT, schedule.seed)))
    if begin is None:
        net, loss = network.Hyperprior(spread(iter(crops))), squared
        lost = {"loss": "log2 of bits a pixel plus lambda times squared error"}
    else:
        net = copy.deepcopy(trained(begin).network)
        loss = similarity.Similarity(similarity.exchange(net, iter(crops)))
        lost = {"loss": f"log2 of bits a pixel plus lambda times {loss}"}
        lost["begun_from"] = {begin: weights.sha256(begin).hex()}
    key = cards.key(replace(schedule, epochs=0), images[0], out.stem)
    folder = None if checkpoints is None else checkpoints / key
    history = fit(net, iter(crops), held_out, schedule, loss, folder)
    net.cpu()
    known = islice(iter(crops), -(-calibration.PICTURES // schedule.batch))
    weighed = calibration.tables(net, [picture[0] for batch in known for picture in batch])
    muon = MUON * schedule.learning_rate / RECIPE.learning_rate
    about = {
        "name": out.stem,
        "paper": "beyond-the-papers",
        **lost,
        "lambda": "8.66 / step^2, step 80 to 2.5 grey levels, drawn anew for each crop",
        "optimiser": f"Muon ({muon:g}) for inner convolutions, Adam for the rest; linear to 0 "
        f"over the last {DECAY:.0%} of the epochs",
        "steps": STEPS * len(history),
        "crop": pictures.CROP,
        **cards.fitted(schedule, *images, history),
        "parameters": sum(values.numel() for values in net.parameters()),
        "stored_as": "float16 and int32",
    }
    about["images_per_second"] = round(
        STEPS * schedule.batch / float(history["seconds"].median()), 1
    )
    return weights.save(weighed, out, about)


def squared(net: network.Hyperprior, pictures: Tensor, level: Tensor, rounded: bool) -> Tensor:
    """Logarithm of rate plus priced squared error, so that all rates weigh alike, (N,)."""
    rate, made = net(pictures, level, rounded)
    return torch.log2(network.cost(rate, made, pictures, level) + 0.02)


def spread(batches: Iterator[Tensor]) -> Tensor:
    """Root mean square of each band of the cosine transform over some batches, in grey levels."""
    kernels = cosines()
    bands = [F.conv2d(batch, kernels, stride=BLOCK) for batch in islice(batches, SPREAD_FROM)]
    return torch.cat(bands).square().mean((0, 2, 3)).sqrt().reshape(BANDS)


def fit(
    net: network.Hyperprior,
    batches: Iterator[Tensor],
    held_out: Tensor,
    schedule: Schedule,
    loss: Loss = squared,
    folder: Path | None = None,
) -> pd.DataFrame:
    """Train a network in place.

    Parameters
    ----------
    net : Hyperprior
    batches : iterator of (N, 1, H, W) float tensors
        Grey levels less 128.
    held_out : (M, 1, H, W) float tensor
        Watched, never learnt from.
    schedule : Schedule
        Of epochs of `STEPS` steps; its learning rate is Adam's.
    loss : callable
        Of network, pictures, rates, and whether the rate is of rounded latents; (N,).
    folder : pathlib.Path, optional
        For checkpoints. A run with more epochs goes on from where the rates had not yet fallen.

    Returns
    -------
    pandas.DataFrame
        A row an epoch: epoch, loss, seconds, held_out_loss where measured.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net.to(device, memory_format=torch.channels_last).train()
    optimisers = optimisers_of(net, schedule.learning_rate)
    rates = [optimiser.param_groups[0]["lr"] for optimiser in optimisers]
    falling = round(schedule.epochs * (1 - DECAY))
    rows = taken_up(folder, net, optimisers, falling)
    begin = time.perf_counter()
    for epoch in range(len(rows), schedule.epochs):
        if epoch == falling:
            keep(folder, net, optimisers, rows, "flat")
        began, total = time.perf_counter(), 0.0
        fast, rounded = epoch < schedule.epochs * (1 - EXACT), epoch >= falling
        for step in range(STEPS):
            done = epoch + step / STEPS
            share = min(1, done * STEPS / WARM + 0.01)
            share *= min(1, (1 - done / schedule.epochs) / DECAY)
            for rate, optimiser in zip(rates, optimisers, strict=True):
                optimiser.param_groups[0]["lr"] = rate * share
            total += step_down(net, next(batches).to(device), optimisers, loss, fast, rounded)
        row = {"epoch": epoch + 1, "loss": total / STEPS, "seconds": time.perf_counter() - began}
        last = epoch + 1 == schedule.epochs
        if last or (epoch + 1) % schedule.measure_every == 0:
            row["held_out_loss"] = _measured(net, held_out.to(device), loss)
        rows.append(row)
        live(f"epoch {epoch + 1}/{schedule.epochs} loss {row['loss']:.4f}")
        if last or (epoch + 1) % schedule.checkpoint_every == 0:
            keep(folder, net, optimisers, rows, "last")
        if schedule.minutes is not None and time.perf_counter() - begin > 60 * schedule.minutes:
            break
    live("")
    net.eval()
    return pd.DataFrame(rows)


def step_down(
    net: network.Hyperprior,
    pictures: Tensor,
    optimisers: list[torch.optim.Optimizer],
    loss: Loss = squared,
    fast: bool = True,
    rounded: bool = False,
) -> float:
    """One step of the training, at rates drawn at random: the loss before it.

    Parameters
    ----------
    net : Hyperprior
    pictures : (N, 1, H, W) float tensor
        Grey levels less 128, on the network's device.
    optimisers : list of torch.optim.Optimizer
        From `optimisers_of`.
    loss : callable
        See `fit`.
    fast : bool
        Compute in bfloat16.
    rounded : bool
        Of the rate, see `Hyperprior.forward`.
    """
    level = torch.rand(len(pictures), device=pictures.device)
    with torch.autocast(pictures.device.type, torch.bfloat16, enabled=fast):
        value = loss(net, pictures, level, rounded).mean()
    return descend(net, value, optimisers)


def descend(net: nn.Module, value: Tensor, optimisers: list[torch.optim.Optimizer]) -> float:
    """Follow the slope of a loss, and return it."""
    net.zero_grad()
    value.backward()
    nn.utils.clip_grad_norm_(optimisers[0].param_groups[0]["params"], 1.0)
    for optimiser in optimisers:
        optimiser.step()
    return float(value.detach())


def optimisers_of(net: nn.Module, rate: float) -> list[torch.optim.Optimizer]:
    """Adam for vectors and last layers, Muon (Jordan 2024) for all other convolutions."""
    inner = [
        values
        for name, values in net.named_parameters()
        if values.ndim == 4 and not any(part in f".{name}" for part in _LAST)
    ]
    others = [values for values in net.parameters() if all(values is not one for one in inner)]
    adam = torch.optim.Adam(others, lr=rate, betas=(0.9, 0.99))
    return [adam, _KernelMuon(inner, lr=MUON * rate / RECIPE.learning_rate, weight_decay=0.0)]


class _KernelMuon(torch.optim.Muon):
    """Muon takes matrices only: a kernel is one with a row for each output channel."""

    def __init__(self, kernels: list[nn.Parameter], **options):
        self.kernels = kernels
        # in channels-last layout this is a view: what happens to the matrix, happens to the kernel
        self.matrices = [
            nn.Parameter(kernel.data.permute(0, 2, 3, 1).flatten(1)) for kernel in kernels
        ]
        super().__init__(self.matrices, **options)

    def step(self, closure=None):
        for kernel, matrix in zip(self.kernels, self.matrices, strict=True):
            matrix.grad = kernel.grad.permute(0, 2, 3, 1).flatten(1)
        return super().step(closure)


@torch.no_grad()
def _measured(net, held_out: Tensor, loss: Loss) -> float:
    """Mean loss of the held-out pictures, at rates spread evenly."""
    net.eval()
    with torch.random.fork_rng():
        torch.manual_seed(0)
        parts = held_out.split(8)
        found = [loss(net, part, torch.linspace(0, 1, len(part)).to(part), True) for part in parts]
    net.train()
    return float(torch.cat(found).mean())
