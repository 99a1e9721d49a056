"""Training of the auto-encoder of Baiee and Al-Assadi (2024) at the paper's scale."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from helpers import weights
from helpers.data import ImageSet
from helpers.experiments import cards
from helpers.experiments.cae_mri.data import SIZE, sets
from helpers.models.cae import ConvAutoencoder, count_parameters, forward_flops
from helpers.schedule import Schedule, throughput
from helpers.train import fit, matrix_rate

PAPER = Schedule(epochs=1000, batch=8, learning_rate=1e-4)


def as_tensor(imagesets: Sequence[ImageSet]) -> Tensor:
    """Slices of one or more sets as an (N, 1, H, W) uint8 tensor."""
    return torch.from_numpy(np.concatenate([images.stack() for images in imagesets]))[:, None]


def train(
    sources: Sequence[str],
    out: Path,
    schedule: Schedule = PAPER,
    size: int = SIZE,
    checkpoints: Path | None = None,
    split: str = "patient",
) -> dict:
    """Train the auto-encoder and write its weights and card.

    Parameters
    ----------
    sources : sequence of str
        Sources of brain MRI; each is split by patient and their training parts are joined.
    out : pathlib.Path
        Where the ``.safetensors`` file goes.
    schedule : Schedule
        1000 epochs, batches of 8 and Adam at 1e-4 in the paper.
    size : int
        Side of the slices in pixels.
    checkpoints : pathlib.Path, optional
        Folder from which an interrupted run goes on. Each schedule, size and set of images
        has a folder of its own in it, so that no run goes on from another one's weights.
    split : {"patient", "slice"}
        See `helpers.experiments.cae_mri.data.sets`.

    Returns
    -------
    dict
        The card.
    """
    pairs = [sets(size, source, schedule.seed, split) for source in sources]
    training, held_out = ([pair[side] for pair in pairs] for side in (0, 1))
    images = as_tensor(training)
    torch.manual_seed(schedule.seed)
    model = ConvAutoencoder()
    ceiling = matrix_rate()
    history = fit(
        model,
        images,
        schedule,
        held_out=as_tensor(held_out),
        folder=None if checkpoints is None else checkpoints / cards.key(schedule, training, size),
        description="auto-encoder",
    )
    speed = throughput(history, len(images))
    # a training step is a forward pass and about twice as much going backward
    work = 3 * forward_flops(ConvAutoencoder(), (1, 1, size, size))
    card = {
        "name": out.stem,
        "paper": "cae-brotli-mri",
        "parameters": count_parameters(model),
        "loss": "binary cross-entropy",
        "optimiser": "Adam",
        "size": size,
        "split": split,
        "precision": "bfloat16 mixed" if torch.cuda.is_available() else "float32",
        "operations_per_second": round(speed * work),
        "matrix_rate_operations_per_second": round(ceiling),
        "share_of_matrix_rate": round(speed * work / ceiling, 4),
        "stored_as": "float16",
        **cards.fitted(schedule, training, held_out, history),
    }
    return weights.save(model.state_dict(), out, card)
