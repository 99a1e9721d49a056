"""Make the book: execute what changed, build the site, say how it went.

Behind ``make book`` and ``python -m helpers book``. The steps are in `helpers.book`.
"""

import sys
import time
from dataclasses import dataclass
from typing import TextIO

from helpers.book.build import Site, build
from helpers.book.execute import Record, execute, read_record
from helpers.book.key import chapter_key
from helpers.book.project import Page, Project, execution_order
from helpers.progress import TerminalLine, clock

BUDGET_S = {"smoke": 60, "laptop": 240}  # of a notebook, on two cores that nothing else uses


@dataclass(frozen=True)
class Chapter:
    """A notebook and the record of its run.

    Parameters
    ----------
    page : Page
    record : Record
    fresh : bool
        Whether it was executed now; False where an earlier run still holds.
    """

    page: Page
    record: Record
    fresh: bool


def run_notebooks(
    project: Project,
    profile: str,
    *,
    only: str | None = None,
    force: bool = False,
    out: TextIO | None = None,
) -> list[Chapter]:
    """Execute the book's notebooks, those whose results no longer hold.

    A page that speaks of what the others found comes after them; alone it takes what is there.

    Parameters
    ----------
    project : Project
    profile : {"smoke", "laptop", "full"}
    only : str, optional
        One chapter.
    force : bool
        Execute even where nothing has changed.
    out : text file, optional
        Where to report; standard output when omitted.

    Returns
    -------
    list of Chapter

    Raises
    ------
    ChapterFailed
        At the first notebook that cannot be executed; the ones before it are kept.
    ValueError
        If a chapter, profile or parameter is named that does not exist.
    """
    out = out or sys.stdout
    line = TerminalLine(out) if out.isatty() else None
    chapters = []
    for page in execution_order(project.notebooks(only)):
        key = chapter_key(project, page, profile)
        record = read_record(project.executed(page, profile))
        fresh = force or record is None or record.key != key
        if fresh:
            try:
                record = execute(project, page, profile, key, line.show if line else _quiet)
            finally:
                if line:
                    line.clear()
        chapters.append(Chapter(page, record, fresh))
        print(_summary(chapters[-1]), file=out, flush=True)
    return chapters


def make_book(
    project: Project,
    profile: str = "laptop",
    *,
    only: str | None = None,
    execute_only: bool = False,
    build_only: bool = False,
    force: bool = False,
    out: TextIO | None = None,
) -> Site | None:
    """Execute and build, then print where the book is, how long it took and how much memory.

    Parameters
    ----------
    project : Project
    profile, only, force, out
        As in `run_notebooks`.
    execute_only, build_only : bool
        Do one half only.

    Returns
    -------
    Site or None
        None with ``execute_only``.

    Raises
    ------
    ChapterFailed, BuildFailed, ValueError
        See `run_notebooks` and `helpers.book.build.build`.
    """
    out = out or sys.stdout
    started = time.monotonic()
    chapters = []
    if not build_only:
        chapters = run_notebooks(project, profile, only=only, force=force, out=out)
    executed = time.monotonic() - started
    site = None if execute_only else build(project, profile)
    took = time.monotonic() - started
    peaks = {chapter.page.title: chapter.record.peak_mib for chapter in chapters}
    if site is not None:
        print(f"Book    {site.index}", file=out)
        if site.changed:
            peaks["building the site"] = site.peak_mib
    print(f"Time    {clock(took)} (notebooks {clock(executed)})", file=out)
    if peaks:
        largest = max(peaks, key=peaks.get)
        print(f"Memory  {peaks[largest]:,.0f} MiB at most ({largest})", file=out)
    return site


def _summary(chapter: Chapter) -> str:
    record = chapter.record
    state = "executed" if chapter.fresh else "unchanged since its run"
    text = f"{chapter.page.title}: {state}, {clock(record.wall_s)}, {record.peak_mib:,} MiB"
    budget = BUDGET_S.get(record.profile)
    if budget is not None and record.wall_s > budget:
        text += f"\n  slow: more than its {clock(budget)}; is the machine busy?"
    for words in record.stderr:
        text += f"\n  warning: it wrote to standard error in {words}"
    return text


def _quiet(text: str) -> None:
    """No terminal, no live line."""
