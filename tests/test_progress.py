import io

import pytest

from helpers import progress as module
from helpers.progress import TerminalLine, clock, live, progress


@pytest.fixture
def file(tmp_path, monkeypatch):
    path = tmp_path / "progress"
    monkeypatch.setenv("BOOK_PROGRESS", str(path))
    monkeypatch.setattr(module, "EVERY", 0.0)
    return path


def test_items_pass_and_line_empties(file):
    seen = [(item, file.read_text(encoding="utf-8")) for item in progress("abc", "letter")]
    assert [item for item, _ in seen] == ["a", "b", "c"]
    assert [text.split(" ·")[0] for _, text in seen] == ["letter 1/3", "letter 2/3", "letter 3/3"]
    assert "left" in seen[1][1]
    assert file.read_text() == ""


def test_jobs_inside_jobs_share_the_line(file):
    for _ in progress([1], "epoch"):
        live("loss 0.5")
        assert file.read_text(encoding="utf-8") == "epoch 1/1 · loss 0.5"
        live("")
        for _ in progress(iter([1]), "step", total=None):
            assert file.read_text(encoding="utf-8").startswith("epoch 1/1 · step 1 · 0:0")


def test_line_goes_away_after_an_error(file):
    with pytest.raises(RuntimeError):
        for _ in progress([1, 2], "image"):
            raise RuntimeError
    live("next")
    assert file.read_text(encoding="utf-8") == "next"
    live("")


def test_updates_are_rare(file, monkeypatch):
    monkeypatch.setattr(module, "EVERY", 3600.0)
    texts = {file.read_text(encoding="utf-8") for _ in progress(range(1000), "pixel")}
    assert len(texts) == 1


def test_vanished_file_stops_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("BOOK_PROGRESS", str(tmp_path / "gone" / "progress"))
    assert list(progress(range(3), "x")) == [0, 1, 2]


def test_silent_without_terminal(capsys, monkeypatch):
    monkeypatch.delenv("BOOK_PROGRESS", raising=False)
    assert list(progress(range(3), "x")) == [0, 1, 2]
    assert capsys.readouterr() == ("", "")


def test_terminal_line_fits_the_terminal(monkeypatch):
    monkeypatch.setenv("COLUMNS", "20")
    stream = io.StringIO()
    TerminalLine(stream).show("x" * 100)
    assert stream.getvalue() == "\r\x1b[K" + "x" * 19


def test_notebook_line_updates_one_output(monkeypatch):
    import IPython.display

    updates = []

    class Handle:
        def update(self, data, raw):
            updates.append(data["text/plain"])

    def display(data, raw, display_id):
        updates.append(data["text/plain"])
        return Handle()

    monkeypatch.delenv("BOOK_PROGRESS", raising=False)
    monkeypatch.setattr(module, "EVERY", 0.0)
    monkeypatch.setattr(IPython, "get_ipython", lambda: type("Shell", (), {"kernel": object()}))
    monkeypatch.setattr(IPython.display, "display", display)
    list(progress(range(2), "x"))
    assert updates[0].startswith("x 1/2")
    assert updates[-1] == ""


def test_clock():
    assert [clock(s) for s in (0, 42, 60, 725, 3600)] == [
        "0:00",
        "0:42",
        "1:00",
        "12:05",
        "1:00:00",
    ]
