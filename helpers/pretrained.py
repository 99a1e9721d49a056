"""Where other people's weights lie on this machine: torchvision's cache and the user cache.

The errors are clauses, as those of `helpers.downloads`.
"""

import contextlib
import hashlib
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from helpers.data.files import write_atomically
from helpers.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor
    from torchvision.models import WeightsEnum


def torchvision_cached(weights: "WeightsEnum") -> "dict[str, Tensor]":
    """What torchvision downloaded before, for this book or for anything else.

    Parameters
    ----------
    weights : torchvision.models.WeightsEnum

    Returns
    -------
    dict of str to tensor
        Its file has the SHA-256 that its name begins to tell; nothing but tensors is read.

    Raises
    ------
    DataError
        If the cache has no such file, or a damaged one.
    """
    import torch

    name = Path(weights.url).name
    file = Path(torch.hub.get_dir()) / "checkpoints" / name
    pinned = re.search(r"-([0-9a-f]{8,})\.", name)
    if not file.is_file():
        raise DataError("torchvision's cache has none")
    with file.open("rb") as stream:
        if not hashlib.file_digest(stream, "sha256").hexdigest().startswith(pinned[1]):
            raise DataError(f"torchvision's cache holds a damaged {name}")
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise DataError(f"{name} in torchvision's cache cannot be read ({error})") from error


def keep(file: Path, state: "Mapping[str, Tensor]", origin: str) -> None:
    """Write weights into the user cache, as safetensors; a disk that cannot hold them is no error.

    Parameters
    ----------
    file : pathlib.Path
    state : mapping of str to tensor
    origin : str
        Kept beside them.
    """
    from safetensors.torch import save

    data = save(dict(state), {"origin": origin, "digest": _digest(state)})
    # a full or read-only disk is no reason to refuse weights that have arrived
    with contextlib.suppress(OSError, DataError):
        file.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(file, data)


def kept(file: Path) -> "tuple[dict[str, Tensor], str]":
    """What an earlier `keep` wrote, if it is sound.

    Parameters
    ----------
    file : pathlib.Path

    Returns
    -------
    state : dict of str to tensor
    origin : str

    Raises
    ------
    DataError
        If the file is not there or damaged.
    """
    from safetensors import SafetensorError, safe_open

    with contextlib.suppress(OSError, SafetensorError):
        with safe_open(file, "pt") as stored:
            facts = stored.metadata() or {}
            state = {name: stored.get_tensor(name) for name in stored.keys()}  # noqa: SIM118
        if facts.get("digest") == _digest(state):
            return state, facts["origin"]
    raise DataError("the user cache keeps none")


def _digest(state: "Mapping[str, Tensor]") -> str:
    digest = hashlib.sha256()
    for name in sorted(state):
        digest.update(name.encode() + state[name].numpy().tobytes())
    return digest.hexdigest()
