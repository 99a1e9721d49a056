"""Training of the lossless codec's networks, resumable epoch by epoch."""

import time
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from helpers import weights
from helpers.codecs.causal import walk
from helpers.experiments import cards
from helpers.experiments.beyond.data import MODALITIES, Source, limited
from helpers.experiments.beyond.states import keep, taken_up
from helpers.models.context import ContextNet
from helpers.progress import live, progress
from helpers.schedule import Schedule

RECIPE = Schedule(epochs=60, batch=8192, learning_rate=3e-3, measure_every=5, checkpoint_every=1)
MUON = 0.02  # learning rate of the hidden matrices
WARM = 200  # steps in which both rates rise
WATCHED = 12  # held-out images a source

Pool = tuple[Tensor, Tensor]


def train(
    modality: str,
    out: Path,
    schedule: Schedule = RECIPE,
    *,
    checkpoints: Path | None = None,
    limit: int | None = None,
) -> dict:
    """Train one network and write its weights and card.

    Parameters
    ----------
    modality : {"chest", "mri", "mammography"}
    out : pathlib.Path
        Where the ``.safetensors`` file goes.
    schedule : Schedule
    checkpoints : pathlib.Path, optional
        Folder from which an interrupted run goes on.
    limit : int, optional
        At most this many images a source.

    Returns
    -------
    dict
        The card.
    """
    parts = {
        part: [
            source if limit is None else limited(source, limit)
            for source in MODALITIES[modality](part)
        ]
        for part in ("train", "test")
    }
    parts["test"] = [limited(source, WATCHED) for source in parts["test"]]
    pools = [pool(parts[part], schedule.seed, part) for part in ("train", "test")]
    images = [[source.images for source in parts[part]] for part in ("train", "test")]
    torch.manual_seed(schedule.seed)
    net = ContextNet()
    key = cards.key(schedule, images[0], modality)
    folder = None if checkpoints is None else checkpoints / key
    history = fit(net, *pools, schedule, folder)
    about = {
        "name": out.stem,
        "paper": "beyond-the-papers",
        "network": modality,
        "loss": "bits a pixel of the mixture, without the codec's mixing",
        "optimiser": f"Muon ({MUON}) for hidden matrices, Adam for the rest; cosine to 0",
        "pixels": len(pools[0][0]),
        **cards.fitted(schedule, *images, history),
        "parameters": sum(values.numel() for values in net.parameters()),
        "stored_as": "float16",
    }
    # of pixels, not of images, as other cards say it
    about["pixels_per_second"] = round(len(pools[0][0]) / float(history["seconds"].median()))
    return weights.save(net.state_dict(), out, about)


def pool(sources: Iterable[Source], seed: int, description: str = "looking") -> Pool:
    """Features and facts of random pixels of all images, in random order.

    Parameters
    ----------
    sources : iterable of Source
    seed : int
    description : str
        Of the progress bar.

    Returns
    -------
    features : (N, FEATURES) int16 tensor
    facts : (N, 4) int32 tensor
    """
    chance, found = np.random.default_rng(seed), []
    for source in sources:
        for image in progress(list(source.images), description):
            for view in source.views(image, chance):
                if view.max() > 0:
                    chosen = chance.random(view.shape) < source.pixels / view.size
                    found.append(walk.observe(view, chosen))
    features, facts = (np.concatenate(parts) for parts in zip(*found, strict=True))
    order = chance.permutation(len(features))
    return torch.from_numpy(features[order]), torch.from_numpy(facts[order])


def fit(
    net: ContextNet, training: Pool, held_out: Pool, schedule: Schedule, folder: Path | None = None
) -> pd.DataFrame:
    """Train a network in place.

    Parameters
    ----------
    net : ContextNet
    training, held_out : Pool
    schedule : Schedule
        Its learning rate is Adam's; both rates fall to 0 along a cosine over all epochs.
    folder : pathlib.Path, optional
        For a checkpoint after each epoch; the folder belongs to one run.

    Returns
    -------
    pandas.DataFrame
        A row an epoch: epoch, loss (bits a pixel), seconds, held_out_loss where measured.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    net.to(device).train()
    training = tuple(part.to(device) for part in training)
    optimisers = optimisers_of(net)
    rates = schedule.learning_rate, MUON
    rows = taken_up(folder, net, optimisers)
    steps = -(-len(training[0]) // schedule.batch)
    begin = time.perf_counter()
    for epoch in range(len(rows), schedule.epochs):
        began = time.perf_counter()
        # the pool is shuffled; another beginning makes other batches of it
        start = int(torch.randint(len(training[0]), (1,)))
        turned = [torch.roll(part, -start, 0) for part in training]
        total = 0.0
        for step in range(steps):
            done = epoch * steps + step
            share = min(1, (done + 1) / WARM) * _cosine(done / (schedule.epochs * steps))
            for rate, optimiser in zip(rates, optimisers, strict=True):
                optimiser.param_groups[0]["lr"] = rate * share
            batch = slice(step * schedule.batch, (step + 1) * schedule.batch)
            total += step_down(net, (turned[0][batch], turned[1][batch]), optimisers)
        row = {"epoch": epoch + 1, "loss": total / steps, "seconds": time.perf_counter() - began}
        if (epoch + 1) % schedule.measure_every == 0 or epoch + 1 == schedule.epochs:
            row["held_out_loss"] = _measured(net, held_out, schedule.batch)
        rows.append(row)
        live(f"epoch {epoch + 1}/{schedule.epochs} {row['loss']:.4f} bits a pixel")
        keep(folder, net, optimisers, rows)
        if schedule.minutes is not None and time.perf_counter() - begin > 60 * schedule.minutes:
            break
    live("")
    net.eval()
    return pd.DataFrame(rows)


def optimisers_of(net: ContextNet) -> list[torch.optim.Optimizer]:
    """Adam for vectors and the last layer, Muon for the hidden matrices."""
    hidden = [net.first.weight, net.second.weight]
    others = [values for values in net.parameters() if all(values is not h for h in hidden)]
    return [
        torch.optim.Adam(others, betas=(0.9, 0.99)),
        torch.optim.Muon(hidden, weight_decay=0.0),
    ]


def step_down(net: ContextNet, pixels: Pool, optimisers: list[torch.optim.Optimizer]) -> float:
    """One step of the training: the mean bits of these pixels before it.

    Parameters
    ----------
    net : ContextNet
    pixels : Pool
        On the network's device.
    optimisers : list of torch.optim.Optimizer
        From `optimisers_of`.
    """
    loss = net.bits(*pixels).mean()
    net.zero_grad()
    loss.backward()
    for optimiser in optimisers:
        optimiser.step()
    return float(loss.detach())


@torch.no_grad()
def _measured(net: ContextNet, held_out: Pool, batch: int) -> float:
    """Mean bits of the held-out pixels."""
    device = next(net.parameters()).device
    parts = zip(*(part.split(batch) for part in held_out), strict=True)
    total = sum(float(net.bits(x.to(device), facts.to(device)).sum()) for x, facts in parts)
    return total / len(held_out[0])


def _cosine(done: float) -> float:
    return 0.5 * (1 + float(np.cos(np.pi * done)))
