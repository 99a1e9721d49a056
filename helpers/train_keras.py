"""Fitting a Keras network to a set of images, resumable; the sibling of `helpers.train`.

Works under every Keras backend. Images stay in memory as small integers and become floats
batch by batch.
"""

import io
import json
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd

from helpers.data.files import write_atomically
from helpers.keras_setup import keras
from helpers.progress import live
from helpers.schedule import Schedule

Scale = Callable[[np.ndarray], np.ndarray]


def grey_to_unit(images: np.ndarray) -> np.ndarray:
    """Grey values 0..255 as (N, H, W, 1) float32 in [0, 1].

    Parameters
    ----------
    images : (N, H, W) uint8
    """
    return (images.astype(np.float32) / 255)[..., None]


def delta_to_unit(deltas: np.ndarray) -> np.ndarray:
    """Differences -255..255 as (N, H, W, 1) float32 in [0, 1]; no difference is 0.5.

    Parameters
    ----------
    deltas : (N, H, W) int16
    """
    return ((deltas.astype(np.float32) + 255) / 510)[..., None]


class _Batches(keras.utils.PyDataset):
    """Shuffled batches, in an order that only the seed and the epoch's number decide."""

    def __init__(self, images: np.ndarray, schedule: Schedule, scale: Scale):
        super().__init__()
        self.images, self.schedule, self.scale = images, schedule, scale
        self.shuffle(0)

    def shuffle(self, epoch: int) -> None:
        seed = 1_000_003 * self.schedule.seed + epoch
        self.order = np.random.default_rng(seed).permutation(len(self.images))

    def __len__(self) -> int:
        return -(-len(self.images) // self.schedule.batch)

    def __getitem__(self, step: int) -> tuple[np.ndarray, np.ndarray]:
        batch = self.schedule.batch
        images = self.scale(self.images[self.order[step * batch : (step + 1) * batch]])
        return images, images


class _Journal(keras.callbacks.Callback):
    """Collects one row an epoch, shows one live line, stops in time; survives a resume."""

    def __init__(self, batches: _Batches, held_out: np.ndarray | None, description: str):
        super().__init__()
        self.batches, self.held_out, self.description = batches, held_out, description
        self.rows: list[dict[str, float]] = []
        self.begin = self.epoch_begin = time.perf_counter()

    def on_epoch_begin(self, epoch: int, logs=None) -> None:
        self.batches.shuffle(epoch)
        self.rows = [row for row in self.rows if row["epoch"] <= epoch]
        self.epoch_begin = time.perf_counter()

    def on_epoch_end(self, epoch: int, logs=None) -> None:
        schedule = self.batches.schedule
        if not np.isfinite(logs["loss"]):
            raise ValueError(
                f"The loss of epoch {epoch + 1} is {logs['loss']}: the training diverged at the "
                f"learning rate {schedule.learning_rate:g}; train with a lower one."
            )
        row = {"epoch": epoch + 1, "loss": float(logs["loss"])}
        row["seconds"] = time.perf_counter() - self.epoch_begin
        passed = time.perf_counter() - self.begin
        late = schedule.minutes is not None and passed > 60 * schedule.minutes
        last = late or epoch + 1 == schedule.epochs
        if self.held_out is not None and (last or (epoch + 1) % schedule.measure_every == 0):
            row |= quality(self.model, self.batches.scale(self.held_out), schedule.batch)
        self.rows.append(row)
        live(f"{self.description} epoch {epoch + 1}/{schedule.epochs} loss {row['loss']:.4f}")
        if late:
            self.model.stop_training = True


class _Best(keras.callbacks.Callback):
    """Remembers the variables of the epoch with the lowest training loss, and ends with them."""

    def __init__(self):
        super().__init__()
        self.loss, self.values = float("inf"), []

    def on_epoch_end(self, epoch: int, logs=None) -> None:
        if logs["loss"] < self.loss:
            self.loss, self.values = float(logs["loss"]), self.model.get_weights()

    def on_train_end(self, logs=None) -> None:
        if self.values:
            self.model.set_weights(self.values)


class _Keep(keras.callbacks.BackupAndRestore):
    """Checkpoints of the network, its optimiser, the journal and the best epoch in one folder."""

    def __init__(self, folder: Path, journal: _Journal, best: _Best):
        # two of them: a run killed while it writes one goes on from the one before
        super().__init__(str(folder), delete_checkpoint=False, double_checkpoint=True)
        self.file, self.journal = folder / "rows.json", journal
        self.best_file, self.best = folder / "best.npz", best

    def on_train_begin(self, logs=None) -> None:
        super().on_train_begin(logs)
        if self.file.is_file():
            self.journal.rows = json.loads(self.file.read_text(encoding="utf-8"))
        if self.best_file.is_file():
            with np.load(self.best_file) as kept:
                self.best.loss = float(kept["loss"])
                self.best.values = [kept[f"{at}"] for at in range(len(kept.files) - 1)]

    def on_epoch_end(self, epoch: int, logs=None) -> None:
        schedule = self.journal.batches.schedule
        last = epoch + 1 == schedule.epochs or self.model.stop_training
        if last or (epoch + 1) % schedule.checkpoint_every == 0:
            write_atomically(self.file, json.dumps(self.journal.rows).encode())
            if self.best.values:
                values = {f"{at}": value for at, value in enumerate(self.best.values)}
                buffer = io.BytesIO()
                np.savez(buffer, loss=self.best.loss, **values)
                write_atomically(self.best_file, buffer.getvalue())
            super().on_epoch_end(epoch, logs)

    def on_train_end(self, logs=None) -> None:
        super().on_train_end(logs)
        self.model._initial_epoch = None  # or a later fit of this network would begin there


def quality(model: keras.Model, unit: np.ndarray, batch: int) -> dict[str, float]:
    """Loss and mean PSNR (dB, peak 1) of reconstructions.

    Parameters
    ----------
    model : keras.Model
        Compiled with a loss.
    unit : (N, H, W, 1) float32 in [0, 1]
    batch : int
    """
    rebuilt = model.predict(unit, batch_size=batch, verbose=0)
    error = np.mean((rebuilt.astype(np.float64) - unit) ** 2, axis=(1, 2, 3))
    return {
        # not of `rebuilt`: a layer may add to the loss, as that of a variational model does
        "held_out_loss": float(model.evaluate(unit, unit, batch_size=batch, verbose=0)),
        "held_out_psnr": float(-10 * np.log10(error).mean()),
    }


def fit(
    model: keras.Model,
    images: np.ndarray,
    schedule: Schedule,
    loss: Callable,
    *,
    scale: Scale = grey_to_unit,
    held_out: np.ndarray | None = None,
    folder: Path | None = None,
    lowest: bool = False,
    description: str = "fit",
) -> pd.DataFrame:
    """Train an auto-encoder in place.

    Parameters
    ----------
    model : keras.Model
        Maps (N, H, W, 1) floats to floats of the same shape.
    images : (N, H, W) uint8 or int16
    schedule : Schedule
    loss : callable
        Of ``(y_true, y_pred)``, one value an image.
    scale : callable
        Turns a batch of `images` into floats in [0, 1].
    held_out : (M, H, W) array like `images`, optional
        Watched, never trained on and never used to choose anything.
    folder : pathlib.Path, optional
        For checkpoints; a run that finds one there goes on from it. The folder belongs to
        one run: name it after the schedule and the data.
    lowest : bool
        End with the variables of the epoch whose training loss was the lowest, instead of
        those of the last one.
    description : str
        Begins the live progress line.

    Returns
    -------
    pandas.DataFrame
        One row an epoch: ``epoch``, ``loss``, ``seconds``, ``held_out_loss``,
        ``held_out_psnr`` (dB); the last two where measured.

    Raises
    ------
    ValueError
        If the schedule asks for random views, which only `helpers.train` has, or the loss is no
        longer finite.
    """
    if schedule.augment:
        raise ValueError("Random views are for helpers.train only; leave augment=False here.")
    batches = _Batches(images, schedule, scale)
    journal = _Journal(batches, held_out, description)
    best = _Best()
    callbacks: list[keras.callbacks.Callback] = [journal, best] if lowest else [journal]
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        callbacks.append(_Keep(folder, journal, best))
    model.compile(keras.optimizers.Adam(schedule.learning_rate), loss)
    model.fit(batches, epochs=schedule.epochs, verbose=0, shuffle=False, callbacks=callbacks)
    live("")
    return pd.DataFrame(journal.rows)
