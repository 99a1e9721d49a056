"""``bench train``: how fast the book's models train on this machine, and how near to its limit."""

import importlib
import math
import statistics
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import pandas as pd

from helpers.bench.report import REFUSALS, Report, reason
from helpers.bench.worker import worker
from helpers.progress import progress

HELP = "images a second of each model's training, share of the device's matrix rate"
# module below helpers.bench, function and its arguments, by model
MODELS: dict[str, tuple[str, str, dict]] = {
    "cae": ("jobs", "auto_encoder", {}),
    "ae": ("keras_jobs", "mammography", {"network": "ae"}),
    "vae": ("keras_jobs", "mammography", {"network": "vae"}),
    "cnn1": ("keras_jobs", "delta", {"network": "cnn1"}),
    "cnn2": ("keras_jobs", "delta", {"network": "cnn2"}),
    "stage2": ("keras_jobs", "delta", {"network": "stage2"}),
    "dense": ("keras_jobs", "delta", {"network": "dense"}),
    "upscaler-vae": ("jobs", "upscaler", {"network": "vae"}),
    "upscaler-unet": ("jobs", "upscaler", {"network": "unet"}),
    "superres": ("jobs", "upscaler", {"network": "superres"}),
    "classifier": ("jobs", "classifier", {}),
    "lossless": ("jobs", "lossless", {}),
    "hyper-mse": ("jobs", "lossy", {}),
}
SECONDS = 5.0
_NEEDED = {"dense": 5.0}  # GiB of memory; the others need less than any machine of the book has
_LEAST = 2  # measurements, after the first
COLUMNS = [
    *("model", "framework", "precision", "parameters", "unit", "shape", "steps_timed", "step_s"),
    *("units_per_second", "gflop_step", "gflops", "matrix_gflops", "share"),
]


def train(
    names: Sequence[str], seconds: float = SECONDS, models: Mapping[str, tuple] = MODELS
) -> tuple[pd.DataFrame, tuple[dict, ...]]:
    """Train each model for a while on made-up data, in a process of its own.

    Parameters
    ----------
    names : sequence of str
        Of `models`.
    seconds : float
        Of training that is timed, at least; what comes before it is warm-up.
    models : mapping of str to (str, str, dict)
        Module, function and arguments that make the `helpers.bench.jobs.Job`.

    Returns
    -------
    table : pandas.DataFrame
        One row a model:

        - ``model``; ``framework``; ``parameters`` (that are trained);
        - ``precision`` of the matrix products; ``unit`` and ``shape`` of a batch (pictures,
          channels, height and width, as the chapter trains on; pixels and features);
        - ``steps_timed``; ``step_s``: seconds of a step, forward, backward and optimiser, median;
        - ``units_per_second``: images, crops or pixels;
        - ``gflop_step``: 10^9 operations of a step's matrix products and convolutions, counted by
          PyTorch, or by `helpers.bench.keras_jobs.operations`; ``gflops``: the same a second;
        - ``matrix_gflops``: of a plain matrix product of this precision on this device
          (`helpers.train.matrix_rate`); ``share``: ``gflops`` as a share of it.
    left_out : tuple of dict
        ``model, reason``.
    """
    ceilings, rows, left_out = matrix_rates(), [], []
    for name in progress(names, "training"):
        if _NEEDED.get(name, 0) > available():
            why = f"it needs {_NEEDED[name]:g} GiB of memory, and less is free"
            left_out.append({"model": name, "reason": why})
            continue
        with worker({}) as call:
            found = call(_measured, *models[name], seconds)
        if isinstance(found, str):
            left_out.append({"model": name, "reason": found})
            continue
        speed, ceiling = found["gflop_step"] / found["step_s"], ceilings[found["precision"]]
        more = {"gflops": speed, "matrix_gflops": ceiling, "share": speed / ceiling}
        rows.append({"model": name, **found, **more})
        told = (
            f"{name}: {found['units_per_second']:.1f} {found['unit']} a second, {more['share']:.1%}"
        )
        print(told, file=sys.stderr, flush=True)  # a run takes minutes; all of it comes at the end
    return pd.DataFrame(rows, columns=COLUMNS), tuple(left_out)


def report(asked: Sequence[str] | None, seconds: float) -> Report:
    """Measure and put into words.

    Parameters
    ----------
    asked : sequence of str or None
        Models; all when None.
    seconds : float
        See `train`.

    Raises
    ------
    ValueError
        If there is no such model, or no time.
    """
    for name in asked or ():
        if name not in MODELS:
            raise ValueError(f"There is no model '{name}'; choose among {', '.join(MODELS)}.")
    if not (seconds > 0 and math.isfinite(seconds)):
        raise ValueError(f"--seconds must be more than 0, not {seconds:g}.")
    table, left_out = train(list(dict.fromkeys(asked or MODELS)), seconds)
    return Report("train", table, _text(table), left_out)


def matrix_rates() -> dict[str, float]:
    """10^9 operations a second of a plain matrix product, by precision."""
    with worker({}) as call:
        return {name: call(_matrix_rate, name) for name in ("float32", "bfloat16")}


def timed(job, seconds: float) -> list[float]:
    """Seconds of a step, several times, once a training is warm.

    Parameters
    ----------
    job : helpers.bench.jobs.Job
    seconds : float
        That the times are to add up to, at least.

    Returns
    -------
    list of float
        Two or more.
    """
    found = job.seconds(1 + _LEAST)[1:]
    missing = seconds - sum(found) * job.steps
    if missing > 0:
        again = math.ceil(seconds / (statistics.median(found) * job.steps))
        found = job.seconds(1 + max(again, _LEAST))[1:]  # begun anew: the first is cold again
    return found


def available() -> float:
    """Memory that is free, in GiB; infinite where the system does not tell."""
    try:
        facts = Path("/proc/meminfo").read_text(encoding="ascii")
    except OSError:
        return math.inf
    found = [line.split()[1] for line in facts.splitlines() if line.startswith("MemAvailable")]
    return int(found[0]) / 2**20 if found else math.inf


def _measured(module: str, function: str, options: dict, seconds: float) -> dict | str:
    """In the process of its own: a row, or why there is none."""
    try:
        job = getattr(importlib.import_module(f"helpers.bench.{module}"), function)(**options)
        times = timed(job, seconds)
        work = job.operations()
    except (*REFUSALS, MemoryError) as error:
        return "there is not enough memory" if isinstance(error, MemoryError) else reason(error)
    step = statistics.median(times)
    return {
        "framework": job.framework,
        "precision": job.precision,
        "parameters": job.parameters,
        "unit": job.unit,
        "shape": list(job.shape),
        "steps_timed": len(times) * job.steps,
        "step_s": step,
        "units_per_second": job.shape[0] / step,
        "gflop_step": work / 1e9,
    }


def _matrix_rate(precision: str, side: int | None = None) -> float:
    import torch

    from helpers.train import matrix_rate

    return matrix_rate(side, getattr(torch, precision)) / 1e9


def _text(table: pd.DataFrame) -> str:
    shown = pd.DataFrame(
        {
            "model": table["model"],
            "framework": table["framework"],
            "precision": table["precision"],
            "batch": [" x ".join(map(str, shape)) for shape in table["shape"]],
            "a second": [
                f"{speed:,.1f} {unit}"
                for speed, unit in zip(table["units_per_second"], table["unit"], strict=True)
            ],
            "GFLOP a step": table["gflop_step"].map("{:.1f}".format),
            "GFLOP/s": table["gflops"].map("{:.1f}".format),
            "of matrix rate %": (100 * table["share"].astype(float)).map("{:.1f}".format),
        }
    )
    rates = table.drop_duplicates("precision").set_index("precision")["matrix_gflops"]
    ceilings = ", ".join(f"{rate:,.0f} GFLOP/s in {name}" for name, rate in rates.items())
    return (
        "Training: forward, backward, optimiser; made-up data of the chapters' sizes\n"
        + shown.to_string(index=False)
        + f"\nMatrix rate of this device: {ceilings}"
    )
