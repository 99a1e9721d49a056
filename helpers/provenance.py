"""What produced a page: the images, the machine in general terms, the versions.

Nothing here names a computer, a user, a folder or a patient.
"""

import importlib.metadata
import os
import platform
import shutil
import subprocess
from typing import Protocol

PACKAGES = (
    "numpy",
    "scikit-image",
    "imagecodecs",
    "numba",
    "torch",
    "lightning",
    "tensorflow",
    "keras",
    "jupyter-book",
)


class Described(Protocol):
    """A set of images that can say what it is, such as `helpers.data.ImageSet`."""

    name: str
    source: str
    licence: str
    citation: str
    preparation: str

    def __len__(self) -> int:
        """Return the number of images."""

    @property
    def fingerprint(self) -> str:
        """SHA-256 of ids and pixels, in hexadecimal."""


def record(imageset: Described, seed: int | None = None) -> None:
    """Note in a notebook which images its results come from; nothing is shown.

    The runner collects the notes of a chapter into the banner below its title.

    Parameters
    ----------
    imageset : ImageSet
    seed : int, optional
        The seed of splits and trainings on these images.
    """
    from IPython.display import display

    note = {
        "kind": "provenance",
        "name": imageset.name,
        "source": imageset.source,
        "images": len(imageset),
        "fingerprint": imageset.fingerprint,
        "licence": imageset.licence,
        "citation": imageset.citation,
        "preparation": imageset.preparation,
        "seed": seed,
    }
    display({"text/plain": ""}, raw=True, metadata={"book": note})


def device() -> str:
    """Name the kind of machine this runs on, without loading a framework.

    Returns
    -------
    str
        For example ``"CPU (x86_64), 2 threads"`` or ``"NVIDIA H200, 16 CPU threads"``.
    """
    threads = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    cards = gpus()
    if cards:
        return f"{', '.join(cards)}, {threads} CPU threads"
    return f"CPU ({platform.machine()}), {threads} threads"


def gpus() -> list[str]:
    """Names of the NVIDIA cards that the driver reports and the environment does not hide.

    Returns
    -------
    list of str
        Empty where there is no card, no driver, or ``CUDA_VISIBLE_DEVICES`` is set to none.
    """
    tool = shutil.which("nvidia-smi")
    if tool is None or os.environ.get("CUDA_VISIBLE_DEVICES") in ("", "-1"):
        return []
    command = [tool, "--query-gpu=name", "--format=csv,noheader"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, timeout=30, check=True)
    except (subprocess.SubprocessError, OSError):
        return []  # a driver that does not answer offers no card either
    return [line.strip() for line in answer.stdout.splitlines() if line.strip()]


def versions() -> dict[str, str]:
    """Versions of Python and of the packages that results depend on.

    Returns
    -------
    dict of str to str
        Packages that are not installed are left out.
    """
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = importlib.metadata.version(package)
        except importlib.metadata.PackageNotFoundError:
            continue
    return found
