"""One live line that says how far a long job is, wherever the book happens to run.

In a terminal the line rewrites itself, in JupyterLab it is one output that updates and
empties itself at the end, and under ``make book`` it goes to the file named in
``$BOOK_PROGRESS``, from which the runner shows it. Without any of these nothing is shown.
No job ever prints a line per step.
"""

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TextIO, TypeVar

Item = TypeVar("Item")
EVERY = 0.1  # seconds between two updates of the line


def clock(seconds: float) -> str:
    """Write a duration as minutes and seconds, with hours where there are any.

    Parameters
    ----------
    seconds : float

    Returns
    -------
    str
        ``"0:42"``, ``"12:05"``, ``"1:00:00"``.
    """
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def progress(
    iterable: Iterable[Item], description: str, total: int | None = None
) -> Iterator[Item]:
    """Pass items through and show on the live line how many have gone by.

    Parameters
    ----------
    iterable : iterable
    description : str
        What an item is, for example ``"image"``.
    total : int, optional
        Number of items; the length of the iterable where it has one.

    Yields
    ------
    item
        The items, in order and untouched.

    Examples
    --------
    >>> [n * n for n in progress(range(3), "square")]
    [0, 1, 4]
    """
    if total is None and hasattr(iterable, "__len__"):
        total = len(iterable)
    line = _Part()
    started = time.monotonic()
    try:
        for number, item in enumerate(iterable, 1):
            line.show(_describe(description, number, total, time.monotonic() - started))
            yield item
    finally:
        line.close()


def live(text: str) -> None:
    """Show a text on the live line; an empty text takes it away.

    Parameters
    ----------
    text : str
        A few words, for example ``"epoch 3/10, loss 0.412"``.
    """
    if text:
        _live.show(text)
    else:
        _live.close()


def _describe(description: str, number: int, total: int | None, elapsed: float) -> str:
    if total is None:
        return f"{description} {number} · {clock(elapsed)}"
    text = f"{description} {number}/{total}"
    if number > 1:
        text += f" · about {clock(elapsed / (number - 1) * (total - number + 1))} left"
    return text


class _Part:
    """One job's share of the line; jobs inside jobs are joined by a dot."""

    def __init__(self):
        self.text = ""

    def show(self, text: str) -> None:
        self.text = text
        if self not in _parts:
            _parts.append(self)
        _line.show(" · ".join(part.text for part in _parts))

    def close(self) -> None:
        if self in _parts:
            _parts.remove(self)
        if not _parts:
            _line.clear()


class _Line:
    """The line itself: picks a place to appear, and does not update too often."""

    def __init__(self):
        self.place, self.updated = None, 0.0

    def show(self, text: str) -> None:
        now = time.monotonic()
        if self.place is None:
            self.place = _place()
        elif now - self.updated < EVERY:
            return
        self.updated = now
        self.place.show(text)

    def clear(self) -> None:
        if self.place is not None:
            self.place.clear()
        self.place = None


class TerminalLine:
    """A line that is rewritten in place.

    Parameters
    ----------
    stream : text file
        Usually ``sys.stderr`` or ``sys.stdout``, a terminal.
    """

    def __init__(self, stream: TextIO):
        self.stream = stream

    def show(self, text: str) -> None:
        """Replace the line by a text, cut to the width of the terminal."""
        width = shutil.get_terminal_size().columns - 1
        self.stream.write("\r\x1b[K" + text[:width])
        self.stream.flush()

    def clear(self) -> None:
        """Leave an empty line behind."""
        self.show("")


class _FileLine:
    """The line as the whole content of a small file, which the runner reads."""

    def __init__(self, path: str):
        self.path = Path(path)

    def show(self, text: str) -> None:
        # the runner may be gone or the disk full: that must not stop a training
        with contextlib.suppress(OSError):
            self.path.write_text(text, encoding="utf-8")

    def clear(self) -> None:
        self.show("")


class _NotebookLine:
    """The line as one notebook output that updates in place."""

    def __init__(self):
        self.handle = None

    def show(self, text: str) -> None:
        from IPython.display import display

        data = {"text/plain": text}
        if self.handle is None:
            self.handle = display(data, raw=True, display_id=True)
        else:
            self.handle.update(data, raw=True)

    def clear(self) -> None:
        self.show("")
        self.handle = None


class _NoLine:
    def show(self, text: str) -> None:
        pass

    def clear(self) -> None:
        pass


def _place() -> _FileLine | _NotebookLine | TerminalLine | _NoLine:
    path = os.environ.get("BOOK_PROGRESS")
    if path:
        return _FileLine(path)
    ipython = sys.modules.get("IPython")
    shell = ipython.get_ipython() if ipython else None
    if getattr(shell, "kernel", None) is not None:
        return _NotebookLine()
    if sys.stderr is not None and sys.stderr.isatty():
        return TerminalLine(sys.stderr)
    return _NoLine()


_parts: list[_Part] = []
_line = _Line()
_live = _Part()
