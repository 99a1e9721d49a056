"""Fitting a PyTorch network to a set of images with Lightning, resumable and fast.

One function for every PyTorch chapter: images stay on the device as uint8, weights are
channels-last, the loss is compiled and computed in bfloat16 where there is a GPU.
"""

import logging
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path

import lightning as L
import pandas as pd
import torch
from lightning.pytorch.callbacks import ModelCheckpoint
from torch import Tensor, nn

from helpers.augment import random_views
from helpers.progress import live
from helpers.schedule import Schedule

logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)


class ResidentBatches:
    """Shuffled batches of an image tensor that lives on the training device.

    Parameters
    ----------
    images : (N, 1, H, W) uint8 tensor
    schedule : Schedule
        Its batch, seed and augmentation count here.
    epoch : callable
        Returns the number of the epoch; a resumed run then sees the order it would have seen.
    """

    def __init__(self, images: Tensor, schedule: Schedule, epoch: Callable[[], int]):
        self.images, self.schedule, self.epoch = images, schedule, epoch

    def __len__(self) -> int:
        """Return the number of steps in an epoch."""
        return -(-len(self.images) // self.schedule.batch)

    def __iter__(self) -> Iterator[Tensor]:
        """Yield float batches in [0, 1], channels last."""
        chance = torch.Generator().manual_seed(1_000_003 * self.schedule.seed + self.epoch())
        order = torch.randperm(len(self.images), generator=chance).to(self.images.device)
        for chosen in order.split(self.schedule.batch):
            batch = to_unit(self.images[chosen])
            yield random_views(batch, chance) if self.schedule.augment else batch


def to_unit(images: Tensor) -> Tensor:
    """Grey values 0..255 divided by 255, as float32 in channels-last layout.

    Parameters
    ----------
    images : (N, 1, H, W) uint8 tensor
    """
    return (images.float() / 255).contiguous(memory_format=torch.channels_last)


class _Task(L.LightningModule):
    """A network with a ``loss(batch)`` method, as Lightning wants it."""

    def __init__(self, model: nn.Module, schedule: Schedule, fast: bool):
        super().__init__()
        self.model, self.schedule, self.fast = model, schedule, fast
        self.batch_loss = torch.compile(model.loss, dynamic=False) if fast else model.loss

    def training_step(self, batch: Tensor, _: int) -> Tensor:
        return self.batch_loss(batch)

    def configure_optimizers(self) -> torch.optim.Optimizer:
        rate = self.schedule.learning_rate
        return torch.optim.Adam(self.model.parameters(), lr=rate, fused=self.fast)


class _Journal(L.Callback):
    """Collects one row an epoch, shows one live line, stops in time; survives a resume."""

    def __init__(self, schedule: Schedule, held_out: Tensor | None, description: str):
        self.schedule, self.held_out, self.description = schedule, held_out, description
        self.rows: list[dict[str, float]] = []
        self.total, self.steps = 0.0, 0
        self.begin = self.epoch_begin = time.perf_counter()

    def state_dict(self) -> dict:
        return {"rows": self.rows}

    def load_state_dict(self, state: dict) -> None:
        self.rows = state["rows"]

    def on_train_epoch_start(self, *_) -> None:
        self.epoch_begin, self.total, self.steps = time.perf_counter(), 0.0, 0

    def on_train_batch_end(self, trainer, task, outputs, *_) -> None:
        self.total = self.total + outputs["loss"].detach()  # stays on the device: no waiting
        self.steps += 1

    def on_train_epoch_end(self, trainer, task) -> None:
        epoch = task.current_epoch + 1
        row = {"epoch": epoch, "loss": float(self.total) / self.steps}
        row["seconds"] = time.perf_counter() - self.epoch_begin
        last = epoch == self.schedule.epochs
        if self.held_out is not None and (last or epoch % self.schedule.measure_every == 0):
            row |= quality(task.model, self.held_out, self.schedule.batch)
        self.rows.append(row)
        live(f"{self.description} epoch {epoch}/{self.schedule.epochs} loss {row['loss']:.4f}")
        minutes = self.schedule.minutes
        if minutes is not None and time.perf_counter() - self.begin > 60 * minutes:
            trainer.should_stop = True


@torch.no_grad()
def quality(model: nn.Module, images: Tensor, batch: int) -> dict[str, float]:
    """Loss and mean PSNR (dB, peak 1) of unquantised reconstructions.

    Parameters
    ----------
    model : torch.nn.Module
        Has methods ``loss`` and ``reconstruct``.
    images : (N, 1, H, W) uint8 tensor
        On the model's device.
    batch : int
    """
    losses, psnr = [], []
    for chunk in images.split(batch):
        unit = to_unit(chunk)
        losses.append(model.loss(unit) * len(chunk))
        error = (model.reconstruct(unit).float() - unit).square().mean(dim=(1, 2, 3))
        psnr.append(-10 * torch.log10(error))
    return {
        "held_out_loss": float(torch.stack(losses).sum()) / len(images),
        "held_out_psnr": float(torch.cat(psnr).mean()),
    }


def fit(
    model: nn.Module,
    images: Tensor,
    schedule: Schedule,
    *,
    held_out: Tensor | None = None,
    folder: Path | None = None,
    description: str = "fit",
) -> pd.DataFrame:
    """Train a network in place.

    Parameters
    ----------
    model : torch.nn.Module
        Has a ``loss(batch)`` method for (N, 1, H, W) float batches in [0, 1], and one named
        ``reconstruct``, which returns what it makes of them, of the same shape and range.
    images : (N, 1, H, W) uint8 tensor
    schedule : Schedule
    held_out : (M, 1, H, W) uint8 tensor, optional
        Watched, never trained on and never used to choose anything.
    folder : pathlib.Path, optional
        For checkpoints; a run that finds one there goes on from it. The folder belongs to
        one run: name it after the schedule and the data.
    description : str
        Begins the live progress line.

    Returns
    -------
    pandas.DataFrame
        One row an epoch: ``epoch``, ``loss`` (nats a pixel), ``seconds``,
        ``held_out_loss``, ``held_out_psnr`` (dB); the last two where measured.
    """
    on_gpu = torch.cuda.is_available()
    device = torch.device("cuda" if on_gpu else "cpu")
    model.to(device, memory_format=torch.channels_last).train()
    task = _Task(model, schedule, on_gpu)
    batches = ResidentBatches(images.to(device), schedule, lambda: task.current_epoch)
    journal = _Journal(schedule, None if held_out is None else held_out.to(device), description)
    callbacks: list[L.Callback] = [journal]
    if folder is not None:
        every = min(schedule.checkpoint_every, schedule.epochs)
        callbacks.append(ModelCheckpoint(folder, "last", every_n_epochs=every, save_top_k=1))
    checkpoint = None if folder is None else folder / "last.ckpt"
    trainer = L.Trainer(
        accelerator="gpu" if on_gpu else "cpu",
        devices=1,
        precision="bf16-mixed" if on_gpu else "32-true",
        max_epochs=schedule.epochs,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=folder is not None,
        enable_progress_bar=False,
        enable_model_summary=False,
    )
    resume = str(checkpoint) if checkpoint is not None and checkpoint.is_file() else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about loaders and folders, none about the fit
        trainer.fit(task, train_dataloaders=batches, ckpt_path=resume, weights_only=True)
    model.eval()
    live("")
    return pd.DataFrame(journal.rows)


def matrix_rate(side: int | None = None, dtype: torch.dtype | None = None) -> float:
    """Measured speed of a plain matrix product on this device, in operations a second.

    The ceiling that a training run is compared with.

    Parameters
    ----------
    side : int, optional
        Rows and columns; 8192 on a GPU and 2048 on a CPU by default.
    dtype : torch.dtype, optional
        Of the matrices; bfloat16 on a GPU and float32 on a CPU by default.
    """
    on_gpu = torch.cuda.is_available()
    side = side or (8192 if on_gpu else 2048)
    device = "cuda" if on_gpu else "cpu"
    dtype = dtype or (torch.bfloat16 if on_gpu else torch.float32)
    a, b = (torch.randn(side, side, device=device, dtype=dtype) for _ in range(2))
    wait = torch.cuda.synchronize if on_gpu else (lambda: None)
    for _ in range(2):
        a @ b
    times = []
    for _ in range(5):
        wait()
        begin = time.perf_counter()
        a @ b
        wait()
        times.append(time.perf_counter() - begin)
    return 2 * side**3 / sorted(times)[2]
