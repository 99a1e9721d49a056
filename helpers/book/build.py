"""Build the site: stage the pages, run jupyter-book with warnings as errors, check, publish."""

import hashlib
import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import nbformat
import psutil
import yaml

from helpers.book.dress import dress
from helpers.book.execute import ChapterFailed, read_record, write
from helpers.book.mathjax import bring_mathjax
from helpers.book.mend import mend
from helpers.book.project import Page, Project

# what a page may include: sources for `literalinclude`, cards of weights, shared text
_STAGED = {"helpers": (".py",), "reference": (".md", ".json"), "book": None}
_STARTER = "from jupyter_book.cli.main import main; main()"


class BuildFailed(RuntimeError):
    """The site could not be built, or not without warnings."""


@dataclass(frozen=True)
class Site:
    """A built book.

    Parameters
    ----------
    index : Path
        The page to open.
    changed : bool
        Whether anything had to be built.
    peak_mib : float
        Largest memory of the build, in MiB; 0 where nothing was built.
    """

    index: Path
    changed: bool
    peak_mib: float = 0.0


def build(project: Project, profile: str) -> Site:
    """Build ``html`` in the project's build folder from the executed notebooks of a profile.

    A site that fails leaves the one before it untouched.

    Parameters
    ----------
    project : Project
    profile : str

    Returns
    -------
    Site

    Raises
    ------
    ChapterFailed
        If a notebook has not been executed in this profile.
    BuildFailed
        If there is any warning, or a page of ``_toc.yml`` has no HTML.
    """
    html, stamp = project.build / "html", project.build / "html.sha256"
    index = html / "index.html"
    pages = project.pages()
    stage = project.build / "stage"
    _stage(project, pages, profile, stage)
    fingerprint = _fingerprint(stage)
    if index.is_file() and stamp.is_file() and stamp.read_text() == fingerprint:
        return Site(index, changed=False)
    out = project.build / "site"
    shutil.rmtree(out, ignore_errors=True)
    peak = _jupyter_book(stage, out, project.build / "build.log", project.root)
    made = out / "_build" / "html"
    missing = [page.name for page in pages if not (made / f"{page.name}.html").is_file()]
    if missing or not (made / "index.html").is_file():
        raise BuildFailed(f"The build made no HTML for {', '.join(missing) or 'index'}.")
    mend(made)
    for page in pages:
        if page.is_notebook:  # the download is the notebook as it ran, not the dressed page
            shutil.copyfile(
                project.executed(page, profile), made / "_sources" / f"{page.name}.ipynb"
            )
    stamp.unlink(missing_ok=True)
    shutil.rmtree(html, ignore_errors=True)
    made.replace(html)
    shutil.rmtree(out, ignore_errors=True)
    write(stamp, fingerprint)
    return Site(index, changed=True, peak_mib=peak)


def _stage(project: Project, pages: list[Page], profile: str, stage: Path) -> None:
    """A folder with the layout of the project, in which notebooks are executed and dressed."""
    shutil.rmtree(stage, ignore_errors=True)
    config = project.config()
    repository = (config.get("repository") or {}).get("url", "")
    bring_mathjax(stage, config)
    write(stage / "_config.yml", yaml.safe_dump(config, allow_unicode=True, sort_keys=False))
    write(stage / "_toc.yml", (project.root / "_toc.yml").read_bytes())
    for folder, suffixes in _STAGED.items():
        for path in sorted((project.root / folder).rglob("*")):
            wanted = path.suffix != ".ipynb" if suffixes is None else path.suffix in suffixes
            if path.is_file() and wanted and ".ipynb_checkpoints" not in path.parts:
                write(stage / path.relative_to(project.root), path.read_bytes())
    waiting = []
    for page in pages:
        executed = project.executed(page, profile)
        record = read_record(executed) if executed.is_file() else None
        if page.is_notebook and record is None:
            waiting.append(page.title)
        elif page.is_notebook:
            target = stage / f"{page.name}.ipynb"
            notebook = nbformat.read(executed, as_version=4)
            dressed = dress(notebook, record, target.parent, repository)
            write(target, nbformat.writes(dressed))
    if waiting:
        raise ChapterFailed(
            f"The site needs every notebook, but in the profile {profile} these have not been "
            f"executed: {', '.join(waiting)}. Run the command without --only or --build-only."
        )


def _fingerprint(stage: Path) -> str:
    digest = hashlib.sha256()
    for path in sorted(stage.rglob("*")):
        if path.is_file():
            digest.update(f"{path.relative_to(stage).as_posix()}\0".encode())
            digest.update(hashlib.sha256(path.read_bytes()).digest())
    return digest.hexdigest()


def _jupyter_book(stage: Path, out: Path, log: Path, root: Path) -> float:
    """Run the builder in a process of its own; returns its peak memory in MiB."""
    command = [sys.executable, "-c", _STARTER, "build", str(stage), "--path-output", str(out)]
    command += ["-W", "--keep-going"]
    peak = 0
    with log.open("w", encoding="utf-8") as file:
        process = psutil.Popen(
            command, stdout=file, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL, cwd=stage
        )
        try:
            while process.poll() is None:
                peak = max(peak, _memory(process))
                time.sleep(0.2)
        finally:
            if process.poll() is None:
                process.kill()
    if process.returncode:
        raise BuildFailed(_complaints(log, stage, root))
    return peak / 2**20


def _memory(process: psutil.Popen) -> int:
    try:
        return process.memory_info().rss
    except psutil.Error:
        return 0


def _complaints(log: Path, stage: Path, root: Path) -> str:
    lines = log.read_text(encoding="utf-8", errors="replace").splitlines()
    words = ("WARNING", "ERROR", "CRITICAL", "Error:")
    found = [
        line.replace(f"{stage}{os.sep}", "") for line in lines if any(w in line for w in words)
    ]
    found = list(dict.fromkeys(found)) or lines[-5:]
    shown = "\n".join(f"  {line}" for line in found[:20])
    return (
        f"jupyter-book does not accept the pages ({len(found)} complaints, all of them in "
        f"{os.path.relpath(log, root)}); mend the pages and run the command again:\n{shown}"
    )
