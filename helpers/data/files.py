"""Where data may lie on this machine, and how a file is written whole or not at all."""

import contextlib
import os
import tempfile
from pathlib import Path

IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff")


def data_root() -> Path | None:
    """Folder of the official data sets, the environment variable ``MEDCODEC_DATA``.

    Returns
    -------
    pathlib.Path or None
        None while the variable is not set.
    """
    value = os.environ.get("MEDCODEC_DATA", "")
    return Path(value).expanduser() if value else None


def write_atomically(path: str | os.PathLike, data: bytes) -> None:
    """Write a file under a temporary name beside its place, then rename it.

    A reader meets the old file or the whole new one, never half of it.

    Parameters
    ----------
    path : str or path-like
    data : bytes

    Raises
    ------
    OSError
        If the folder does not exist or cannot be written to.
    """
    path = Path(path)
    handle, temporary = tempfile.mkstemp(prefix=f".{path.name}.", dir=path.parent)
    try:
        with os.fdopen(handle, "wb") as file:
            file.write(data)
        umask = os.umask(0)
        os.umask(umask)
        Path(temporary).chmod(0o666 & ~umask)  # mkstemp makes it private; give it normal rights
        Path(temporary).replace(path)
    except BaseException:
        with contextlib.suppress(FileNotFoundError):
            Path(temporary).unlink()
        raise


def image_files(folder: Path) -> list[Path]:
    """Every image file below a folder, sorted by name, hidden ones left out.

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
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.name.startswith(".")
    )
