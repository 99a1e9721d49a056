"""Run one notebook with papermill, watched: where it is, how long it takes, how much memory."""

import contextlib
import json
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import nbformat
import psutil

from helpers import provenance
from helpers.book.clean import clean
from helpers.book.project import Page, Project
from helpers.data.files import write_atomically
from helpers.progress import clock

CELL_TIMEOUT = {"smoke": 180, "laptop": 900, "full": 7 * 24 * 3600}  # seconds
_TRANSPORT = "tcp" if os.name == "nt" else "ipc"  # other users of the machine cannot listen
POLL = 0.25  # seconds between two looks at memory and progress


class ChapterFailed(RuntimeError):
    """A notebook could not be executed to its end."""


@dataclass(frozen=True)
class Record:
    """What is kept beside an executed notebook.

    Parameters
    ----------
    key : str
        See `helpers.book.key.chapter_key`.
    chapter, profile : str
    parameters : dict
        What the profile changed.
    wall_s : float
        Seconds from start to end, the kernel's start included.
    peak_mib : float
        Largest memory (resident set) of the kernel and all it started, in MiB.
    cells : int
    device : str
    versions : dict
    date : str
        Day of the run, UTC.
    stderr : list of str
        What the cells wrote to standard error; a good chapter writes nothing there.
    """

    key: str
    chapter: str
    profile: str
    parameters: dict[str, Any]
    wall_s: float
    peak_mib: float
    cells: int
    device: str
    versions: dict[str, str]
    date: str
    stderr: list[str] = field(default_factory=list)


def execute(
    project: Project, page: Page, profile: str, key: str, show: Callable[[str], None]
) -> Record:
    """Execute a notebook and keep it with its record below the build folder.

    Parameters
    ----------
    project : Project
    page : Page
    profile : str
    key : str
        Stored in the record, so that the next run knows whether this one still holds.
    show : callable
        Takes the text of the live line, a few times a second.

    Returns
    -------
    Record

    Raises
    ------
    ChapterFailed
        If a cell fails, takes too long, or the kernel dies. The notebook up to there is kept
        beside the place of the good one, with the ending ``.failed.ipynb``.
    """
    parameters = project.overrides(page, profile)
    target = project.executed(page, profile)
    failed = target.with_suffix(".failed.ipynb")
    target.parent.mkdir(parents=True, exist_ok=True)
    record_path(target).unlink(missing_ok=True)  # from here on the old result no longer counts
    # a neutral folder: a chapter cannot lean on files that happen to lie around
    with tempfile.TemporaryDirectory(prefix="book-") as folder:
        work = Path(folder)
        output = work / "notebook.ipynb"
        cells = len(_read(page.path).cells) + bool(parameters)  # papermill injects one
        watch = _Watch(page.title, cells, work / "progress", show)
        problem = None
        # a page that speaks of the others is told where they are; see `helpers.pages`
        told = {"BOOK_PAGES": str(project.executed_folder(profile))} if page.after_all else {}
        with _environment(work, told), watch:
            try:
                _papermill(page, output, parameters, profile, work, watch)
            except Exception as error:
                problem = _problem(project, page, error, watch, failed)
        folders = {work: ".", project.root: ".", Path.home(): "~"}
        notebook = clean(_read(output), folders) if output.is_file() else None
    if problem is not None:
        if notebook is not None:
            write(failed, nbformat.writes(notebook))
        raise ChapterFailed(problem)
    record = Record(
        key=key,
        chapter=page.name,
        profile=profile,
        parameters=parameters,
        wall_s=round(watch.elapsed, 1),
        peak_mib=round(watch.peak / 2**20),
        cells=len(notebook.cells),
        device=provenance.device(),
        versions=provenance.versions(),
        date=datetime.now(UTC).date().isoformat(),
        stderr=_stderr(notebook),
    )
    write(target, nbformat.writes(notebook))
    write(record_path(target), json.dumps(asdict(record), indent=1) + "\n")
    failed.unlink(missing_ok=True)
    return record


def record_path(executed: Path) -> Path:
    """Where the record of an executed notebook lies."""
    return executed.with_suffix(".json")


def read_record(executed: Path) -> Record | None:
    """The record of an executed notebook; None where there is none that holds.

    Parameters
    ----------
    executed : Path

    Returns
    -------
    Record or None
    """
    try:
        return Record(**json.loads(record_path(executed).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def write(path: Path, content: str | bytes) -> None:
    """Write a file, whole or not at all, and the folders it needs.

    Parameters
    ----------
    path : Path
    content : str or bytes
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, content.encode("utf-8") if isinstance(content, str) else content)


class _Watch:
    """A thread that follows a running notebook: its cell, its own words, its memory."""

    def __init__(self, title: str, cells: int, progress: Path, show: Callable[[str], None]):
        self.title, self.cells, self.progress, self.show = title, cells, progress, show
        self.cell, self.peak, self.elapsed = 0, 0, 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._loop, daemon=True)

    def __enter__(self) -> "_Watch":
        self._started = time.monotonic()
        self._thread.start()
        return self

    def __exit__(self, *_) -> None:
        self._stop.set()
        self._thread.join()
        self.elapsed = time.monotonic() - self._started

    def on_cell(self, cell: nbformat.NotebookNode, cell_index: int) -> None:
        """Called by nbclient before a cell runs."""
        self.cell = cell_index + 1

    def _loop(self) -> None:
        while not self._stop.wait(POLL):
            self.peak = max(self.peak, _children_memory())
            self.elapsed = time.monotonic() - self._started
            self.show(self._text())

    def _text(self) -> str:
        words = ""
        with contextlib.suppress(OSError):
            words = self.progress.read_text(encoding="utf-8", errors="replace").strip()
        parts = [f"{self.title}  cell {self.cell}/{self.cells}", words, clock(self.elapsed)]
        return " · ".join(part for part in parts if part)


def _children_memory() -> int:
    total = 0
    for child in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):
            total += child.memory_info().rss
    return total


def _papermill(
    page: Page, output: Path, parameters: dict, profile: str, work: Path, watch: _Watch
) -> None:
    import papermill  # only here: it takes a second to import
    from traitlets.config import Config

    logging.getLogger("papermill").setLevel(logging.CRITICAL)  # it raises what it logs
    try:
        papermill.execute_notebook(
            page.path,
            output,
            parameters=parameters,
            kernel_name="python3",
            progress_bar=False,
            cwd=work,
            execution_timeout=CELL_TIMEOUT[profile],
            on_cell_execute=watch.on_cell,
            # at its shutdown a kernel reports the interrupt that ends it, which is no news
            extra_arguments=["--IPKernelApp.log_level=CRITICAL"],
            config=Config({"KernelManager": {"transport": _TRANSPORT}}),
        )
    except KeyboardInterrupt:
        # the cell under way would still complain, with a trace, that its kernel died
        logging.getLogger("asyncio").setLevel(logging.CRITICAL)
        raise


@contextlib.contextmanager
def _environment(work: Path, told: dict[str, str]) -> Iterator[None]:
    """Environment variables of the kernel, which inherits them from this process."""
    changes = {
        "BOOK_PROGRESS": str(work / "progress"),
        "IPYTHONDIR": str(work / "ipython"),  # the reader's own start-up files stay out
        "JUPYTER_PREFER_ENV_PATH": "1",  # this environment's kernel, not one of the same name
        "TF_CPP_MIN_LOG_LEVEL": "3",
        "PYTHONHASHSEED": "0",
        **told,
    }
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name)
            else:
                os.environ[name] = value


def _problem(project: Project, page: Page, error: Exception, watch: _Watch, failed: Path) -> str:
    """One paragraph: which cell, what went wrong, where to look."""
    where = os.path.relpath(failed, project.root)
    source, cause = "", f"{type(error).__name__}: {error}"
    if hasattr(error, "evalue"):  # papermill's report of an error inside a cell
        cause, source = f"{error.ename}: {error.evalue}", error.source
    elif isinstance(error, TimeoutError):
        cause = "it ran longer than this profile allows"
    elif "died" in str(error).lower():
        cause = "the kernel died, most often because memory ran out"
    lines = [line for line in source.splitlines() if line.strip()][:3]
    shown = "\n" + "\n".join(f"    {line}" for line in lines) if lines else ""
    return (
        f"{page.title} failed in cell {watch.cell} of {watch.cells}: {cause}{shown}\n"
        f"The notebook up to there is in {where}. Mend it and run the command again: "
        "finished chapters are kept."
    )


def _read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def _stderr(notebook: nbformat.NotebookNode) -> list[str]:
    return [
        f"cell {number}: {output.text.strip()[:500]}"
        for number, cell in enumerate(notebook.cells, 1)
        if cell.cell_type == "code"
        for output in cell.outputs
        if output.output_type == "stream" and output.name == "stderr"
    ]
