"""Checkpoints of a training: written at once, read as tensors and numbers, never as code."""

import io
from pathlib import Path

import torch
from torch import nn

from helpers.data.files import write_atomically


def keep(
    folder: Path | None, net: nn.Module, optimisers: list, rows: list[dict], name: str = "last"
) -> None:
    """Write the state of a training.

    Parameters
    ----------
    folder : pathlib.Path or None
        Where to; nowhere when None.
    net : torch.nn.Module
    optimisers : list of torch.optim.Optimizer
    rows : list of dict
        The history so far, one row an epoch.
    name : str
    """
    if folder is None:
        return
    folder.mkdir(parents=True, exist_ok=True)
    state = {
        "net": net.state_dict(),
        "optimisers": [optimiser.state_dict() for optimiser in optimisers],
        "chance": torch.get_rng_state(),
        "rows": rows,
    }
    stream = io.BytesIO()
    torch.save(state, stream)
    write_atomically(folder / f"{name}.pt", stream.getvalue())


def taken_up(
    folder: Path | None, net: nn.Module, optimisers: list, falling: int | None = None
) -> list[dict]:
    """Take over the state of an earlier run.

    Parameters
    ----------
    folder : pathlib.Path or None
    net, optimisers
        As in `keep`; changed in place.
    falling : int, optional
        Epoch from which the learning rate falls. A state named "last" that is older than the one
        named "flat" of a shorter schedule is of no use then: its rate had fallen too early.

    Returns
    -------
    list of dict
        The earlier run's history; empty where there is none.
    """
    for name in ("last", "flat"):
        file = None if folder is None else folder / f"{name}.pt"
        if file is None or not file.is_file():
            continue
        # whatever device wrote it
        state = torch.load(file, map_location="cpu", weights_only=True)
        flat = folder / "flat.pt"
        if name == "last" and falling is not None and flat.is_file():
            begun = len(torch.load(flat, map_location="cpu", weights_only=True)["rows"])
            if begun < falling:
                continue  # the schedule has grown longer since
        net.load_state_dict(state["net"])
        for optimiser, kept in zip(optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(kept)
        torch.set_rng_state(state["chance"])
        return state["rows"]
    return []
