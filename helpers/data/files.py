"""Where data may lie on this machine, and how a file is written whole or not at all."""

import contextlib
import os
import tempfile
from pathlib import Path

from helpers.errors import DataError

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


def data_root() -> Path | None:
    """Folder of the official data sets, the environment variable ``MEDCODEC_DATA``.

    Returns
    -------
    pathlib.Path or None
        None while the variable is not set.

    Raises
    ------
    DataError
        If the variable names no folder: a mistyped name must not pass for having no data.
    """
    value = os.environ.get("MEDCODEC_DATA", "")
    if not value:
        return None
    root = Path(value).expanduser()
    if not root.is_dir():
        raise DataError(
            f"The variable MEDCODEC_DATA names {root}, which is no folder; mend it, or unset it "
            "to use the open pack."
        )
    return root


def write_atomically(path: str | os.PathLike, data: bytes) -> None:
    """Write a file under a temporary name beside its place, then rename it.

    A reader meets the old file or the whole new one, never half of it.

    Parameters
    ----------
    path : str or path-like
    data : bytes

    Raises
    ------
    DataError
        If the folder does not exist or cannot be written to, or a folder has this name.
    """
    path = Path(path)
    temporary = None
    try:
        handle, temporary = tempfile.mkstemp(prefix=".writing-", dir=path.parent)
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)  # mkstemp makes it private; give it normal rights
        Path(temporary).replace(path)
    except OSError as error:
        raise DataError(
            f"The file {path} cannot be written ({error.strerror}); name one in a folder that "
            "exists, with space left and where you may write."
        ) from error
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):  # after the rename there is none left
                Path(temporary).unlink()


def image_files(folder: Path) -> list[Path]:
    """Every image file below a folder, sorted by name; see `visible`.

    Parameters
    ----------
    folder : pathlib.Path

    Returns
    -------
    list of pathlib.Path
    """
    return [path for path in visible(folder) if path.suffix.lower() in IMAGE_SUFFIXES]


def visible(folder: Path) -> list[Path]:
    """Everything below a folder, sorted by name.

    Hidden files are left out, and so is what lies in hidden folders and in ``__MACOSX``, where
    macOS keeps the attributes of files that it packs.

    Parameters
    ----------
    folder : pathlib.Path

    Returns
    -------
    list of pathlib.Path
    """
    return sorted(
        path
        for path in folder.rglob("*")
        if not any(
            part.startswith(".") or part == "__MACOSX" for part in path.relative_to(folder).parts
        )
    )
