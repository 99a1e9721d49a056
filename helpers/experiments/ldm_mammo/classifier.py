"""Training of the classifier of Hwang and Woo (2023) and the search for its settings.

`helpers.train.fit` serves auto-encoders: it knows no labels, chooses no epoch and measures
reconstructions. This fit is its sibling for two classes, on Lightning's Fabric.

What can be kept between epochs is little, although the body is frozen: the first BatchNorm
learns, and in training it takes its mean and variance from the batch, so that all that comes
behind it changes with every step. Only the output of the first convolution stays the same; it
holds 16 times as many numbers as the image and saves 3 % of the operations, so nothing but the
images themselves is kept on the device, in their own 8 or 16 bits.
"""

import copy
import json
import logging
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pandas as pd
import torch
from lightning.fabric import Fabric
from torch import Tensor, nn
from torch.optim.swa_utils import update_bn

from helpers.data.files import write_atomically
from helpers.experiments.ldm_mammo.classifier_data import (
    Examples,
    Resident,
    key_of,
    read_checkpoint,
)
from helpers.models import resnet
from helpers.progress import live
from helpers.roc import auc

for _name in ("lightning.fabric", "lightning.pytorch"):  # either may be the one that talks
    logging.getLogger(_name).setLevel(logging.ERROR)
_CHECKPOINT = "last.safetensors"
_SETTLE = 100  # batches, at most, over which BatchNorm's statistics are averaged after an epoch


class Diverged(ValueError):
    """The loss of a training is no longer a number."""


@dataclass(frozen=True)
class Settings:
    """How a classifier is trained.

    Parameters
    ----------
    learning_rate : float
        Of Adam, constant.
    weight_decay : float
        Of Adam: this times the weight is added to its gradient.
    dropout : float
        Between the layers of the head, from 0 to below 1.
    batch : int
        Images a step, at least 2: BatchNorm needs a variance.
    epochs : int
        50 in the paper, of which the best is kept.
    seed : int
        Seeds the head's first weights and, with the epoch's number, shuffle and dropout.
    """

    learning_rate: float = 1e-4
    weight_decay: float = 1e-5
    dropout: float = 0.0
    batch: int = 16
    epochs: int = 50
    seed: int = 0

    def __post_init__(self):
        if self.learning_rate <= 0 or self.weight_decay < 0 or not 0 <= self.dropout < 1:
            raise ValueError(
                "A learning rate is above 0, weight decay at least 0 and dropout from 0 to below "
                f"1; these are {self.learning_rate}, {self.weight_decay} and {self.dropout}."
            )
        if self.batch < 2 or self.epochs < 1:
            raise ValueError(
                f"A batch has at least 2 images and a fit at least 1 epoch, not {self.batch} "
                f"and {self.epochs}."
            )


class Run:
    """A fit under way: the network, its optimiser, the rows so far and the best epoch."""

    def __init__(self, model: resnet.Classifier, settings: Settings):
        on_gpu = torch.cuda.is_available()
        self.model, self.settings = model.to(memory_format=torch.channels_last), settings
        adam = torch.optim.Adam(
            resnet.trainable(model).values(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        fabric = Fabric(
            accelerator="gpu" if on_gpu else "cpu",
            devices=1,
            precision="bf16-mixed" if on_gpu else "32-true",
        )
        network = torch.compile(model, dynamic=False) if on_gpu else model
        self.network, self.adam = fabric.setup(network, adam)
        self.backward, self.device = fabric.backward, fabric.device
        self.rows: list[dict[str, float]] = []
        self.best: dict[str, Tensor] = {}

    def epoch(self, images: Resident, labels: Tensor) -> float:
        """Take one epoch's steps, settle BatchNorm and return the mean loss of an image."""
        seed = 1_000_003 * self.settings.seed + len(self.rows)
        order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(seed))
        # BatchNorm has no variance of one image: it is left out, another one every epoch
        batches = [
            part for part in order.to(self.device).split(self.settings.batch) if len(part) > 1
        ]
        torch.manual_seed(seed)  # for dropout: a resumed run then drops what it would have dropped
        self.model.train()
        total, count = torch.zeros((), device=self.device), 0
        for chosen in batches:
            loss = self.step(images.batch(chosen), labels[chosen])
            total, count = total + loss * len(chosen), count + len(chosen)
        update_bn((images.batch(chosen) for chosen in batches[:_SETTLE]), self.model)
        return float(total) / count

    def step(self, images: Tensor, labels: Tensor) -> Tensor:
        """Learn from (N, 1, H, W) floats in [0, 1]; return their mean loss before the step."""
        logits = self.network(images)
        loss = nn.functional.binary_cross_entropy_with_logits(logits, labels)
        self.adam.zero_grad()
        self.backward(loss)
        self.adam.step()
        return loss.detach()

    def note(self, row: dict[str, float]) -> None:
        """Keep a row, and the network if no epoch before had so low a validation loss."""
        before = [old["validation_loss"] for old in self.rows]
        if row["validation_loss"] < min(before, default=math.inf):
            self.best = resnet.learnt(self.model)
        self.rows.append(row)

    def save(self, file: Path, key: str) -> None:
        """Write all of it, at once."""
        from safetensors.torch import save

        tensors = {f"model.{name}": value for name, value in resnet.learnt(self.model).items()}
        tensors |= {f"best.{name}": value for name, value in self.best.items()}
        for at, values in self.adam.state_dict()["state"].items():
            tensors |= {f"adam.{at}.{name}": v.cpu().contiguous() for name, v in values.items()}
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, save(tensors, {"key": key, "rows": json.dumps(self.rows)}))

    def load(self, file: Path, key: str) -> None:
        """Go on from what `save` wrote; raise a ValueError if the key is another."""
        parts, facts = read_checkpoint(file)
        if facts.get("key") != key:
            raise ValueError(
                f"The checkpoint {file} belongs to another run, with other settings, images or "
                "weights to begin with; name another folder, or delete it to begin anew."
            )
        self.rows, self.best = json.loads(facts["rows"]), parts["best"]
        self.model.load_state_dict(self.model.state_dict() | parts["model"])
        state: dict[int, dict[str, Tensor]] = {}
        for name, value in parts["adam"].items():
            at, _, what = name.partition(".")
            state.setdefault(int(at), {})[what] = value
        self.adam.load_state_dict({**self.adam.state_dict(), "state": state})


def fit(
    train: Examples,
    validation: Examples,
    settings: Settings | None = None,
    *,
    state: Mapping[str, Tensor] | None = None,
    body: nn.Module | None = None,
    features: int = 2048,
    folder: Path | None = None,
    minutes: float | None = None,
    description: str = "classifier",
) -> tuple[dict[str, Tensor], pd.DataFrame]:
    """Train a classifier with binary cross-entropy and Adam, and keep its best epoch.

    The best epoch has the lowest validation loss, the first of equals. The area under the curve
    is noted, but it would choose badly: on a few dozen films it takes few values and has many
    ties. Validation runs in float32.

    After each epoch BatchNorm's statistics are taken anew, as means over 100 batches at most.
    Its running averages would follow too slowly: on a toy task they gave an area of 0.4 where
    means gave 1.0, since the body begins with statistics of photographs.

    Parameters
    ----------
    train, validation : Examples
        Of different patients.
    settings : Settings, optional
    state : mapping of str to tensor, optional
        What to begin with, as `helpers.imagenet.resnet50` returns it; see
        `helpers.models.resnet.build`.
    body : torch.nn.Module, optional
        Takes the place of ResNet50; it is copied and not changed.
    features : int
        Of the body.
    folder : pathlib.Path, optional
        For a checkpoint after every epoch, of at most 48 MB; a run that finds one goes on from it.
    minutes : float, optional
        Stop after the epoch in which this much time has passed.
    description : str
        Begins the live progress line.

    Returns
    -------
    state : dict of str to tensor
        Of the best epoch, on the CPU; `helpers.models.resnet.build` takes it.
    history : pandas.DataFrame
        One row an epoch: ``epoch``, ``loss``, ``validation_loss`` (nats an image),
        ``validation_auc``, ``seconds``.

    Raises
    ------
    Diverged
        If a loss is not finite.
    ValueError
        If the folder holds another run's checkpoint.
    DataError
        If the checkpoint is damaged.
    """
    settings, begin = settings or Settings(), time.perf_counter()
    devices = [torch.cuda.current_device()] if torch.cuda.is_available() else []
    with torch.random.fork_rng(devices):
        torch.manual_seed(settings.seed)
        body = copy.deepcopy(body)
        model = resnet.build(state, dropout=settings.dropout, body=body, features=features)
        run = Run(model, settings)
        file = None if folder is None else folder / _CHECKPOINT
        key = "" if file is None else key_of(replace(settings, epochs=1), train, validation, model)
        if file is not None and file.is_file():
            run.load(file, key)
        labels = torch.tensor(train.labels, dtype=torch.float32, device=run.device)
        images, held_out = (Resident(part.images, run.device) for part in (train, validation))
        while len(run.rows) < settings.epochs:
            started = time.perf_counter()
            row = {"epoch": len(run.rows) + 1, "loss": run.epoch(images, labels)}
            row |= _quality(model, held_out, validation.labels, settings.batch)
            row["seconds"] = time.perf_counter() - started
            if not (math.isfinite(row["loss"]) and math.isfinite(row["validation_loss"])):
                raise Diverged(
                    f"The loss of epoch {row['epoch']} is not a number: the training diverged at "
                    f"the learning rate {settings.learning_rate:g}; train with a lower one."
                )
            run.note(row)
            if file is not None:
                run.save(file, key)
            live(f"{description} epoch {row['epoch']}/{settings.epochs} loss {row['loss']:.4f}")
            if minutes is not None and time.perf_counter() - begin > 60 * minutes:
                break
    live("")
    kept = {name: value.cpu() for name, value in model.state_dict().items()} | run.best
    return kept, pd.DataFrame(run.rows)


def scores(model: resnet.Classifier, images: np.ndarray, batch: int = 32) -> np.ndarray:
    """Probability of the positive class of each image.

    Parameters
    ----------
    model : helpers.models.resnet.Classifier
        Is left in evaluation mode.
    images : (N, H, W) uint8 or uint16 array
    batch : int

    Returns
    -------
    (N,) float64 array
        In [0, 1]; the sigmoid is taken in double precision, so that only equal logits are ties.
    """
    logits = _logits(model, Resident(images, next(model.parameters()).device), batch)
    return resnet.probabilities(logits.double().cpu()).numpy()


def _quality(model: resnet.Classifier, images: Resident, labels: np.ndarray, batch: int) -> dict:
    logits = _logits(model, images, batch).double().cpu()
    loss = nn.functional.binary_cross_entropy_with_logits(logits, torch.tensor(labels).double())
    area = auc(labels, logits.numpy()) if logits.isfinite().all() else math.nan
    return {"validation_loss": float(loss), "validation_auc": area}


@torch.no_grad()
def _logits(model: resnet.Classifier, images: Resident, batch: int) -> Tensor:
    model.eval()
    starts = range(0, len(images), batch)
    return torch.cat([model(images.batch(slice(at, at + batch))) for at in starts])
