"""Trained weights that travel with the book: safetensors and a card, in ``reference/weights``."""

import hashlib
import json
import os
from collections.abc import Iterable
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
LARGE = 2**20  # values from which on a matrix may be kept in 8 bits
_SCALE = ":scale"
_INF = np.float16(np.inf)


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


def size(names: Iterable[str]) -> int:
    """Bytes of all files that some weights need, what they build on counted once.

    Parameters
    ----------
    names : iterable of str
        The empty one stands for no weights.

    Raises
    ------
    DataError
        If there are no such weights on this machine.
    """
    files = {path(name) for name in names if name}
    cards = [read_card(file) for file in files if file.with_suffix(".json").is_file()]
    files |= {path(name) for about in cards for name in about.get("needs", ())}
    return sum(file.stat().st_size for file in files)


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
    """Read a weights file as float32 arrays, those in 8 bits too; see `arrays`."""
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        return _widened(load_file(file))
    except (SafetensorError, ValueError) as error:
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


def save(
    state: "Mapping[str, np.ndarray | Tensor]", file: Path, description: dict, bits: int = 16
) -> dict:
    """Store weights as float16, or large matrices in 8 bits, beside their card.

    Float16 halves the file, 8 bits quarter it; what rounding costs in quality is inside every
    result of the book, since all of them are measured on the file as shipped. Both files are
    renamed into place.

    Parameters
    ----------
    state : mapping of str to array, or to tensor on any device
        Whole numbers, as in tables, are kept as int32, up to 2**24, which float32 holds exactly.
    file : pathlib.Path
        Ends in ``.safetensors``; the card lands beside it as ``.json``.
    description : dict
        The card; ``sha256`` and ``bytes`` of the file are added.
    bits : {16, 8}
        16: all float16. 8: matrices of more than 2**20 values as int8, with one float16 scale
        for each index of their shorter axis, under the key ``<name>:scale``; the rest float16.

    Returns
    -------
    dict
        The card as written.

    Raises
    ------
    ValueError
        If a weight or whole number is too large or not finite, or `bits` is neither of the two.
    """
    from safetensors.numpy import save as to_bytes

    if bits not in (8, 16):
        raise ValueError(f"Weights are stored in 16 or in 8 bits, not in {bits}.")
    stored = {}
    for key, values in state.items():
        array = _array(values)
        if np.issubdtype(array.dtype, np.integer):
            stored[key] = _whole(array)
        elif bits == 8 and array.ndim == 2 and array.size > LARGE:
            stored[key], stored[key + _SCALE] = _levels(array)
        else:
            stored[key] = _half(array)
    data = to_bytes(stored)
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


def _array(values: "np.ndarray | Tensor") -> np.ndarray:
    return values if isinstance(values, np.ndarray) else values.detach().cpu().numpy()


def _levels(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Nearest of 255 levels a row or a column, whichever are fewer, and the levels' distances."""
    matrix = np.ascontiguousarray(matrix, np.float32)
    largest = np.abs(matrix).max(axis=np.argmax(matrix.shape), keepdims=True)
    scale = _half(largest / 127)
    # a scale that float16 rounded down would leave the largest weight beyond the last level
    short = 127 * scale.astype(np.float32) < largest
    with np.errstate(over="ignore"):
        scale = _half(np.where(short, np.nextafter(scale, _INF), scale))
    levels = np.rint(matrix / np.where(scale > 0, scale, 1).astype(np.float32))
    return levels.astype(np.int8), scale


def _widened(stored: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """Float32 arrays of what a file holds: floats, or levels times their scale."""
    scales = {key: stored.pop(key) for key in list(stored) if key.endswith(_SCALE)}
    arrays = {}
    for key, array in stored.items():
        arrays[key] = array.astype(np.float32)
        if array.dtype == np.int8:
            scale = scales.pop(key + _SCALE, np.empty(0))
            if array.ndim != 2 or scale.shape not in ((len(array), 1), (1, array.shape[1])):
                raise ValueError(f"'{key}' has no scale for its 8-bit levels")
            arrays[key] *= scale.astype(np.float32)
    if scales:
        raise ValueError(f"'{next(iter(scales))}' belongs to no matrix in 8 bits")
    return arrays


def _whole(values: np.ndarray) -> np.ndarray:
    if np.abs(values.astype(np.int64)).max(initial=0) > 2**24:
        raise ValueError("A whole number of a table is beyond 2**24; scale the table down.")
    return np.ascontiguousarray(values, np.int32)


def _half(values: np.ndarray) -> np.ndarray:
    with np.errstate(over="ignore"):
        half = np.ascontiguousarray(values, np.float16)
    if not np.isfinite(half).all():
        raise ValueError(
            "A weight is not finite or beyond 65,504, the largest 16-bit float; the training "
            "diverged: lower its learning rate."
        )
    return half
