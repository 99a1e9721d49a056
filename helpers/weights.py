"""Trained weights that travel with the book: safetensors and a card, in ``reference/weights``."""

import hashlib
import json
import os
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from helpers.data.files import write_atomically
from helpers.errors import DataError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch import Tensor

FOLDER = Path(__file__).resolve().parents[1] / "reference" / "weights"


def own(name: str) -> Path:
    """File for weights that a run on this machine trained, found before the book's own.

    Parameters
    ----------
    name : str

    Returns
    -------
    pathlib.Path
        In the folder ``MEDCODEC_WEIGHTS`` names, or in ``_build/weights``.
    """
    folder = os.environ.get("MEDCODEC_WEIGHTS") or FOLDER.parents[1] / "_build" / "weights"
    return Path(folder).expanduser() / f"{name}.safetensors"


def path(name: str) -> Path:
    """File that holds the weights of this name.

    Parameters
    ----------
    name : str
        For example ``"cae-mri"``.

    Raises
    ------
    DataError
        If there are no such weights on this machine.
    """
    files = [own(name), FOLDER / f"{name}.safetensors"]
    for file in files:
        # a name may come from a stream's header: it must not lead out of the folder
        if Path(str(name)).name == name and file.is_file():
            return file
    known = sorted({found.stem for file in files for found in file.parent.glob("*.safetensors")})
    raise DataError(
        f"There are no weights named '{name}' on this machine (there are: "
        f"{', '.join(known) or 'none'}); use one of those, train them (python -m helpers train), "
        "or run the book from a clone of its repository."
    )


def exists(name: str) -> bool:
    """Whether weights of this name are on this machine."""
    try:
        path(name)
    except DataError:
        return False
    return True


def sha256(name: str) -> bytes:
    """SHA-256 of a weights file, 32 bytes, the first of which a stream names its weights by."""
    file = path(name)
    facts = file.stat()
    return _sha256(file, (facts.st_mtime_ns, facts.st_ino))  # clocks tick slower than disks


@lru_cache(maxsize=16)
def _sha256(file: Path, version: tuple[int, int]) -> bytes:
    return hashlib.sha256(file.read_bytes()).digest()


def card(name: str) -> dict:
    """What the weights are: data, loss, schedule, device, date, measured quality."""
    return read_card(path(name))


def read_card(file: Path) -> dict:
    """Card of a weights file, which lies beside it."""
    return json.loads(file.with_suffix(".json").read_text(encoding="utf-8"))


def arrays(name: str) -> dict[str, np.ndarray]:
    """Weights as float32 arrays, for networks that need no PyTorch.

    Parameters
    ----------
    name : str

    Raises
    ------
    DataError
        If there are no such weights, or their file is damaged.
    """
    return read(path(name))


def read(file: Path) -> dict[str, np.ndarray]:
    """Read a weights file as float32 arrays; see `arrays`."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return {key: array.astype(np.float32) for key, array in load_file(file).items()}
    except SafetensorError as error:
        raise DataError(
            f"The weights {file} cannot be read ({error}); restore that file, for example with "
            "git, or train it again."
        ) from error


def load(name: str) -> "dict[str, Tensor]":
    """Weights as float32 tensors, ready for ``load_state_dict``.

    Parameters
    ----------
    name : str

    Raises
    ------
    DataError
        If there are no such weights, or their file is damaged.
    """
    import torch

    return {key: torch.from_numpy(array) for key, array in arrays(name).items()}


def save(state: "Mapping[str, np.ndarray | Tensor]", file: Path, description: dict) -> dict:
    """Store weights as float16 beside their card, both renamed into place.

    Float16 halves the file; what rounding costs in quality is inside every result of the
    book, since all of them are measured on the file as shipped.

    Parameters
    ----------
    state : mapping of str to array, or to tensor on any device
    file : pathlib.Path
        Ends in ``.safetensors``; the card lands beside it as ``.json``.
    description : dict
        The card; ``sha256`` and ``bytes`` of the file are added.

    Returns
    -------
    dict
        The card as written.
    """
    from safetensors.numpy import save as to_bytes

    data = to_bytes({key: _half(values) for key, values in state.items()})
    description = {
        **description,
        "bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    file.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(file, data)
    card_text = json.dumps(description, indent=1) + "\n"
    write_atomically(file.with_suffix(".json"), card_text.encode())
    return description


def _half(values: "np.ndarray | Tensor") -> np.ndarray:
    if not isinstance(values, np.ndarray):
        values = values.detach().cpu().numpy()
    with np.errstate(over="ignore"):
        half = np.ascontiguousarray(values, np.float16)
    if not np.isfinite(half).all():
        raise ValueError(
            "A weight is not finite or beyond 65,504, the largest 16-bit float; the training "
            "diverged: lower its learning rate."
        )
    return half
