import subprocess
import sys

import pytest

from helpers import cli
from helpers.book.build import BuildFailed
from helpers.book.execute import ChapterFailed
from helpers.errors import BitstreamError, DataError


@pytest.mark.parametrize("command", cli.COMMANDS)
def test_every_command_has_help(command, capsys):
    with pytest.raises(SystemExit) as caught:
        cli.main([command, "--help"])
    assert caught.value.code == 0
    assert command in capsys.readouterr().out


def test_help_names_every_command(capsys):
    with pytest.raises(SystemExit):
        cli.main(["--help"])
    text = capsys.readouterr().out
    assert all(command in text for command in cli.COMMANDS)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (DataError("the pack is gone"), 2),
        (BitstreamError("truncated"), 2),
        (ValueError("no such codec"), 2),
        (FileNotFoundError(2, "No such file or directory", "a.png"), 2),
        (ChapterFailed("tiny failed"), 1),
        (BuildFailed("2 complaints"), 1),
        (KeyboardInterrupt(), 130),
    ],
)
def test_errors_are_one_paragraph(monkeypatch, capsys, error, code):
    def fail(args):
        raise error

    monkeypatch.setattr(cli, "_book", fail)
    assert cli.main(["book"]) == code
    text = capsys.readouterr().err
    assert "Traceback" not in text
    assert str(error.args[-1] if error.args else "Stopped") in text


@pytest.mark.parametrize("error", [TypeError("x"), RuntimeError("x"), UnicodeError("x")])
def test_programming_errors_keep_their_trace(monkeypatch, error):
    def fail(args):
        raise error

    monkeypatch.setattr(cli, "_book", fail)
    with pytest.raises(type(error)):
        cli.main(["book"])


def test_missing_package_points_to_check_env(monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "pandas", None)
    monkeypatch.setattr(cli, "_book", lambda args: __import__("pandas"))
    assert cli.main(["book"]) == 2
    assert "check-env" in capsys.readouterr().err


def test_check_env_needs_nothing_but_python():
    code = (
        "import sys; sys.argv = ['helpers', 'check-env']; import runpy; "
        "runpy.run_module('helpers', run_name='__main__')"
    )
    answer = subprocess.run(  # -S: without any installed package
        [sys.executable, "-S", "-c", code],
        cwd=cli.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 1
    assert "packages are not installed" in answer.stdout
    assert "Not ready yet" in answer.stdout
    assert answer.stderr == ""
