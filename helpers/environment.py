"""Is this machine ready for the book? Needs nothing but Python itself.

``python -m helpers check-env`` answers in plain words, ``python -m helpers lock`` remakes
``constraints.txt``.
"""

from __future__ import annotations  # an older Python must get as far as reading the advice

import argparse
import importlib.metadata
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLDEST, NEWEST = (3, 11), (3, 13)  # as in pyproject.toml; a test compares them
LOCKED_PYTHON = "3.11"
DISK_GIB, MEMORY_GIB = 12, 8
OK, NOTE, MISSING = "ok", "note", "missing"


def add_arguments(subparsers: argparse._SubParsersAction) -> None:
    """Add the commands ``check-env`` and ``lock``.

    Parameters
    ----------
    subparsers : argparse subparsers action
    """
    parser = subparsers.add_parser("check-env", help="say in plain words what is missing here")
    parser.set_defaults(run=_check_env)
    parser = subparsers.add_parser("lock", help="remake constraints.txt from pyproject.toml")
    parser.set_defaults(run=lambda args: lock(ROOT))


def check() -> list[tuple[str, str]]:
    """Look at Python, packages, kernel, disk, memory, GPU and the open pack.

    Returns
    -------
    list of (level, sentence)
        The level is ``"ok"``, ``"note"`` (works, but worth knowing) or ``"missing"``.
    """
    return [
        check_python(sys.version_info[:2]),
        check_packages(ROOT),
        check_kernel(Path(sys.prefix)),
        check_disk(shutil.disk_usage(ROOT).free),
        check_memory(_memory_bytes()),
        _check_gpu(),
        _check_open_pack(),
    ]


def check_python(version: tuple[int, int]) -> tuple[str, str]:
    """Whether the book runs on a version of Python.

    Parameters
    ----------
    version : (major, minor)

    Returns
    -------
    (level, sentence)
    """
    found, span = _dotted(version), f"{_dotted(OLDEST)} to {_dotted(NEWEST)}"
    if OLDEST <= tuple(version) <= NEWEST:
        return OK, f"Python {found} is one the book runs on ({span})."
    return MISSING, (
        f"Python {found} is not one the book runs on. Install Python {span} and name it: "
        f"make book PYTHON=python{LOCKED_PYTHON}"
    )


def check_packages(root: Path) -> tuple[str, str]:
    """Compare the installed packages with the pinned ones that the book asks for.

    Parameters
    ----------
    root : Path
        Folder with ``pyproject.toml`` and ``constraints.txt``.

    Returns
    -------
    (level, sentence)
    """
    pins = read_pins(root / "constraints.txt")
    absent, other = [], []
    wanted = direct_dependencies(root / "pyproject.toml")
    for name in wanted:
        try:
            version = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            absent.append(name)
            continue
        if version != pins.get(name, version):
            other.append(f"{name} {version} instead of {pins[name]}")
    if absent:
        some = ", ".join(absent[:8]) + (" and others" if len(absent) > 8 else "")
        return MISSING, (
            f"{len(absent)} of {len(wanted)} packages are not installed for this Python ({some}). "
            "`make book` and `make test` install them in .venv; then ask "
            ".venv/bin/python -m helpers check-env"
        )
    if other:
        return NOTE, (
            f"{len(other)} packages have another version than the tested one: {', '.join(other)}. "
            "To get the tested ones: rm -rf .venv, then make book"
        )
    return OK, f"All {len(wanted)} packages are installed in the tested versions."


def check_kernel(prefix: Path) -> tuple[str, str]:
    """Whether notebooks find the kernel of this environment.

    Parameters
    ----------
    prefix : Path
        Where this Python's environment lies.

    Returns
    -------
    (level, sentence)
    """
    spec = prefix / "share" / "jupyter" / "kernels" / "python3" / "kernel.json"
    try:
        command = json.loads(spec.read_text(encoding="utf-8"))["argv"][0]
    except (OSError, ValueError, LookupError):
        return MISSING, "No notebook kernel is registered for this Python; `make book` installs it."
    own = Path(command).name == command or Path(command).parent == Path(sys.executable).parent
    if not own:
        return NOTE, (
            f"The kernel 'python3' starts {command}, another Python than this one. "
            f"Mend it with: {sys.executable} -m ipykernel install --sys-prefix"
        )
    return OK, "The notebook kernel 'python3' starts this Python."


def check_disk(free: int) -> tuple[str, str]:
    """Whether there is room for the packages, the open pack and the site.

    Parameters
    ----------
    free : int
        Bytes.

    Returns
    -------
    (level, sentence)
    """
    gib = free / 2**30
    if gib >= DISK_GIB or (ROOT / ".venv" / ".installed").exists():
        return OK, f"{gib:.0f} GiB of disk are free."
    return MISSING, f"{gib:.1f} GiB of disk are free; the packages need about {DISK_GIB} GiB."


def check_memory(total: int | None) -> tuple[str, str]:
    """Whether the machine has the memory that the laptop profile is made for.

    Parameters
    ----------
    total : int or None
        Bytes; None where the system does not tell.

    Returns
    -------
    (level, sentence)
    """
    if total is None:
        return NOTE, f"This system does not tell its memory; the book wants {MEMORY_GIB} GiB."
    gib = total / 2**30
    if gib < 0.9 * MEMORY_GIB:
        return NOTE, f"The machine has {gib:.1f} GiB of memory; the book wants {MEMORY_GIB} GiB."
    return OK, f"The machine has {gib:.0f} GiB of memory."


def direct_dependencies(pyproject: Path) -> list[str]:
    """Names of the packages that the project and its ``dev`` extra ask for.

    Parameters
    ----------
    pyproject : Path

    Returns
    -------
    list of str
        Normalised: lower case, hyphens.
    """
    import tomllib  # not before Python 3.11, and the version is checked first

    project = tomllib.loads(pyproject.read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    return [normalise(re.match(r"[\w.-]+", requirement).group()) for requirement in wanted]


def read_pins(constraints: Path) -> dict[str, str]:
    """Versions pinned in ``constraints.txt``.

    Parameters
    ----------
    constraints : Path

    Returns
    -------
    dict of str to str
        Normalised name to version.
    """
    lines = constraints.read_text(encoding="utf-8").splitlines()
    pairs = [line.split(";")[0].split("==") for line in lines if "==" in line.split("#")[0]]
    return {normalise(name): version.strip() for name, version in pairs}


def normalise(name: str) -> str:
    """Spell a package's name as indexes compare it.

    Parameters
    ----------
    name : str

    Returns
    -------
    str
    """
    return re.sub(r"[-_.]+", "-", name.strip()).lower()


def lock(root: Path) -> int:
    """Remake ``constraints.txt`` from ``pyproject.toml`` with uv; keeps it whole on failure.

    Parameters
    ----------
    root : Path

    Returns
    -------
    int
        Exit code.
    """
    target = root / "constraints.txt"
    command = [sys.executable, "-m", "uv", "pip", "compile", "pyproject.toml"]
    command += ["--python-version", LOCKED_PYTHON, "--extra", "gpu", "--extra", "dev"]
    command += ["--no-header", "--no-annotate", "--no-emit-index-url", "--upgrade", "--quiet"]
    answer = subprocess.run(command, cwd=root, capture_output=True, text=True, check=False)
    if answer.returncode:
        print(f"uv could not find versions that fit together:\n{answer.stderr}", file=sys.stderr)
        return 1
    head = "# Exact versions this book was built and tested with. Remake: make lock\n"
    part = target.with_suffix(".part")
    part.write_text(head + answer.stdout, encoding="utf-8")
    part.replace(target)
    print(f"{target.name}: {answer.stdout.count('==')} packages pinned.")
    return 0


def _check_env(args: argparse.Namespace) -> int:
    python = check_python(sys.version_info[:2])
    # an unfit Python cannot even read pyproject.toml, and nothing else matters then
    findings = check() if python[0] == OK else [python]
    for level, sentence in findings:
        print(f"{level:>7}  {sentence}")
    ready = all(level != MISSING for level, _ in findings)
    print("Ready: make book" if ready else "Not ready yet: see 'missing' above.")
    return 0 if ready else 1


def _memory_bytes() -> int | None:
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        return None


def _check_gpu() -> tuple[str, str]:
    from helpers.provenance import gpus

    cards = gpus()
    if cards:
        return OK, f"GPU: {', '.join(cards)}. The profile `full` can use it."
    return OK, "No NVIDIA GPU; the profiles `smoke` and `laptop` need none."


def _check_open_pack() -> tuple[str, str]:
    try:
        from helpers.data import open_pack

        waiting = [name for name in open_pack.WHEELS if open_pack.state(name) != "sound"]
        size = sum(open_pack.WHEELS[name].mib for name in waiting)
    except ImportError:
        return NOTE, "The open pack was not looked at, since packages are missing."
    if waiting:
        return NOTE, f"The open pack lacks {', '.join(waiting)}; `make book` fetches {size} MiB."
    return OK, "The open pack of images is in the cache, every file sound."


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version[:2]))
