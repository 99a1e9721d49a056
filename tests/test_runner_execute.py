"""One notebook run with papermill: kept, cleaned, reported, or refused with a clear message."""

import io
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import psutil
import pytest

from helpers.book.clean import clean
from helpers.book.execute import CELL_TIMEOUT, ChapterFailed, execute, read_record
from helpers.runner import run_notebooks

LEAKY = """
import sys, pathlib
from helpers.progress import live
live("counting sheep")
import time; time.sleep(1.2)
print(pathlib.Path.home() / "data", profile, count)
print("careful", file=sys.stderr)
"""


# `python -m helpers book` on another book; a child of a shell script may have Ctrl-C switched off
COMMAND = """
import pathlib, signal, sys
from helpers import cli
from helpers.book.project import Project
from helpers.runner import make_book
signal.signal(signal.SIGINT, signal.default_int_handler)
cli._book = lambda args: make_book(Project.at(pathlib.Path(sys.argv[1])), "smoke")
sys.exit(cli.main(["book"]))
"""


def run(tiny, **options):
    out = io.StringIO()
    chapters = run_notebooks(tiny.project, "smoke", out=out, **options)
    return chapters, out.getvalue()


def test_executed_notebook_record_and_cache(tiny):
    tiny.notebook(LEAKY)
    page, shown = tiny.project.notebooks()[0], []
    record = execute(tiny.project, page, "smoke", "key", shown.append)
    path = tiny.project.executed(page, "smoke")
    assert read_record(path) == record
    assert record.wall_s > 1
    assert record.peak_mib > 20
    assert record.stderr == ["cell 5: careful"]  # the fifth: parameters were injected before it
    assert any("cell 5/" in text and "counting sheep" in text for text in shown)
    text = path.read_text(encoding="utf-8")
    assert "~/data smoke 2" in text
    assert str(Path.home()) not in text
    assert str(tiny.project_root) not in text
    assert "papermill" not in nbformat.read(path, as_version=4).metadata


def test_only_what_changed_runs_again(tiny):
    tiny.notebook("print(count)")
    (chapter,), text = run(tiny)
    assert chapter.fresh
    assert text.count("\n") == 1  # no terminal: one line a chapter
    (chapter,), text = run(tiny)
    assert not chapter.fresh
    assert "unchanged" in text
    tiny.write("helpers/small.py", "def one():\n    return 3\n")
    (chapter,), _ = run(tiny)
    assert chapter.fresh


def test_interrupted_run_picks_up(tiny, monkeypatch):
    tiny.notebook("print(count)")
    tiny.write(
        "book/chapters/second.ipynb", tiny.project.notebooks()[0].path.read_text(encoding="utf-8")
    )
    tiny.write(
        "_toc.yml",
        "format: jb-book\nroot: book/index\nchapters:\n"
        "  - file: book/chapters/tiny\n  - file: book/chapters/second\n",
    )

    def interrupted(project, page, *rest):
        if page.title == "second":
            raise KeyboardInterrupt
        return execute(project, page, *rest)

    monkeypatch.setattr("helpers.runner.execute", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run(tiny)
    monkeypatch.undo()
    chapters, _ = run(tiny)
    assert [chapter.fresh for chapter in chapters] == [False, True]


def test_ctrl_c_is_answered_in_one_line_and_leaves_no_kernel(tiny, tmp_path):
    marker = tmp_path / "kernel"
    tiny.notebook(
        f"import os, pathlib, time\npathlib.Path({str(marker)!r}).write_text(str(os.getpid()))\n"
        "time.sleep(120)"
    )
    command = [sys.executable, "-c", COMMAND, str(tiny.project_root)]
    process = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (marker.is_file() and marker.read_text()) and time.monotonic() < deadline:
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 130
    assert said.strip().splitlines() == [
        "Stopped. What was finished is kept; run the same command to go on."
    ]
    assert not psutil.pid_exists(int(marker.read_text()))


def test_failure_names_cell_and_error(tiny):
    tiny.notebook("fine = 1", "values = [1, 2]\nvalues[count]")
    with pytest.raises(ChapterFailed, match=r"tiny failed in cell 6 of 6: IndexError") as caught:
        run(tiny)
    assert "values[count]" in str(caught.value)
    page = tiny.project.notebooks()[0]
    executed = tiny.project.executed(page, "smoke")
    assert executed.with_suffix(".failed.ipynb").is_file()
    assert read_record(executed) is None


def test_cell_that_runs_too_long(tiny, monkeypatch):
    monkeypatch.setitem(CELL_TIMEOUT, "smoke", 1)
    tiny.notebook("import time; time.sleep(60)")
    with pytest.raises(ChapterFailed, match="longer than this profile allows"):
        run(tiny)


def test_clean_replaces_whole_folders_only():
    cell = nbformat.v4.new_code_cell("1")
    cell.metadata["execution"] = {"iopub.status.busy": "now"}
    text = "/home/ann/x and /home/anna/y"
    cell.outputs = [nbformat.v4.new_output("stream", name="stdout", text=text)]
    notebook = nbformat.v4.new_notebook(cells=[cell], metadata={"papermill": {"input_path": "x"}})
    clean(notebook, {Path("/home/ann"): "~"})
    assert cell.outputs[0].text == "~/x and /home/anna/y"
    assert cell.metadata == {}
    assert notebook.metadata == {}
