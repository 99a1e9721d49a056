"""What a long run has finished, kept in files so that the run goes on where it ended."""

import hashlib
import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from time import perf_counter

import pandas as pd

from helpers.data import ImageSet
from helpers.data.files import write_atomically
from helpers.data.prepared import open_prepared, save_prepared
from helpers.errors import DataError

Tables = dict[str, pd.DataFrame]


def key(depends: Sequence[object]) -> str:
    """Name that only work on these inputs has.

    Parameters
    ----------
    depends : sequence
        Whatever tells one piece of work from another, as JSON knows it: numbers, what `told` says.

    Returns
    -------
    str
        16 hexadecimal digits.
    """
    return hashlib.sha256(json.dumps(depends, sort_keys=True).encode()).hexdigest()[:16]


def told(images: ImageSet) -> list:
    """What tells a set of images from others, for `key`: pixels, ids, patients and labels.

    Parameters
    ----------
    images : ImageSet
    """
    return [images.fingerprint, list(images.patients), list(images.labels)]


def tables(
    folder: Path | None, name: str, depends: Sequence[object], make: Callable[[], Tables]
) -> tuple[Tables, float]:
    """Tables of a stage: read if an earlier run finished it, else made and kept.

    Parameters
    ----------
    folder : pathlib.Path or None
        Without one nothing is read or kept.
    name : str
        Begins the file's name.
    depends : sequence
        See `key`.
    make : callable
        Does the work. A file that cannot be read is made anew, too.

    Returns
    -------
    tables : dict of str to pandas.DataFrame
        The same whether they were made or read, to the last digit.
    seconds : float
        What the work took when it was finished.
    """
    file = None if folder is None else folder / f"{name}-{key(depends)}.json"
    kept = _read(file)
    if kept is None:
        begin = perf_counter()
        made = {label: table.to_dict("records") for label, table in make().items()}
        kept = {"seconds": perf_counter() - begin, "tables": made}
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(file, json.dumps(kept).encode())
    return {label: pd.DataFrame(rows) for label, rows in kept["tables"].items()}, kept["seconds"]


def images(file: Path, make: Callable[[], ImageSet]) -> ImageSet:
    """Images read from a file if they lie there whole, else made and kept.

    Parameters
    ----------
    file : pathlib.Path
        ``.npz``, of `helpers.data.prepared`.
    make : callable

    Returns
    -------
    ImageSet
    """
    with suppress(DataError):  # missing or damaged
        return open_prepared(file)
    made = make()
    file.parent.mkdir(parents=True, exist_ok=True)
    save_prepared(made, file)
    return made


def _read(file: Path | None) -> dict | None:
    """Content of a file of `tables`; None where there is none that can be read."""
    if file is None:
        return None
    with suppress(OSError, ValueError):
        return json.loads(file.read_text(encoding="utf-8"))
    return None
