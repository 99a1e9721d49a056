"""When does a chapter have to run again? When anything its results depend on has changed."""

import hashlib
import json
import os
import platform
from pathlib import Path

import nbformat

from helpers.book.execute import record_path
from helpers.book.project import Page, Project

# a change to these changes no result
_NOT_RESULTS = ("book/", "cli.py", "__main__.py", "runner.py")
_COMMANDS = "commands.py"  # nor does a change to the command line of a part


def chapter_key(project: Project, page: Page, profile: str) -> str:
    """Hash of all that a chapter's results depend on.

    That is: the notebook's cells, its parameters in this profile, the sources of `helpers`
    (the pinned open pack among them), the files below ``$MEDCODEC_DATA`` (name, size and
    time), ``reference/``, the papers' claims, the pinned versions and Python's own. For a page
    that speaks of the others it is also what the last run of each of them left.

    Parameters
    ----------
    project : Project
    page : Page
        A notebook.
    profile : str

    Returns
    -------
    str
        SHA-256 in hexadecimal.
    """
    notebook = nbformat.read(page.path, as_version=4)
    cells = [
        (cell.cell_type, cell.source, cell.metadata.get("tags", [])) for cell in notebook.cells
    ]
    digest = hashlib.sha256(
        json.dumps([cells, project.overrides(page, profile), platform.python_version()]).encode()
    )
    for path in _sources(project.root):
        digest.update(f"{path.relative_to(project.root).as_posix()}\0".encode())
        digest.update(hashlib.sha256(path.read_bytes()).digest())
    for line in _listing(os.environ.get("MEDCODEC_DATA")):
        digest.update(line.encode())
    if page.after_all:
        for other in project.notebooks():
            if not other.after_all:
                digest.update(f"{other.name}\0".encode() + _last_run(project, other, profile))
    return digest.hexdigest()


def _last_run(project: Project, page: Page, profile: str) -> bytes:
    """The record of a page's run, which no second run writes alike; empty where there is none."""
    record = record_path(project.executed(page, profile))
    return record.read_bytes() if record.is_file() else b""


def _sources(root: Path) -> list[Path]:
    """Files whose content decides what a chapter computes."""
    helpers = [
        path
        for path in sorted((root / "helpers").rglob("*.py"))
        if not path.relative_to(root / "helpers").as_posix().startswith(_NOT_RESULTS)
        and path.name != _COMMANDS
    ]
    kept = [path for path in sorted((root / "reference").rglob("*")) if path.is_file()]
    single = [root / "constraints.txt", root / "book" / "papers.yml"]
    return [*helpers, *kept, *(path for path in single if path.is_file())]


def _listing(folder: str | None) -> list[str]:
    """Name, size and time of each of the reader's own data files."""
    if not folder:
        return []
    root = Path(folder)
    entries = [(path, path.stat()) for path in sorted(root.rglob("*")) if path.is_file()]
    return [
        f"{path.relative_to(root).as_posix()}\0{stat.st_size}\0{stat.st_mtime_ns}\n"
        for path, stat in entries
    ]
