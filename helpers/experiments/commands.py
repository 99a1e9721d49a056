"""``python -m helpers train|reference NAME``: the full-scale runs that ``reference/`` keeps.

Each experiment's ``commands`` module says which options its runs take and starts them; it is
imported for the command only, so that no command waits for a framework it does not use.
"""

import argparse
import math
from dataclasses import replace
from importlib import import_module
from pathlib import Path

from helpers.schedule import Schedule

PACKAGES = {
    "cae-brotli-mri": "cae_mri",
    "ae-vae-cbis-ddsm": "ae_vae",
    "lossless-delta-chest-xray": "lossless_delta",
    "ldm-mammography": "ldm_mammo",
    "beyond-the-papers": "beyond",
    "scoreboard": "scoreboard",
}


def add_arguments(subparsers) -> None:
    """Add the commands ``train`` and ``reference`` to the command line.

    Parameters
    ----------
    subparsers : argparse action
        What ``ArgumentParser.add_subparsers`` returned.
    """
    train = subparsers.add_parser("train", help="train a chapter's networks at the paper's scale")
    reference = subparsers.add_parser("reference", help="measure a chapter's reference run")
    for command, parser in {"train": train, "reference": reference}.items():
        chapters = parser.add_subparsers(dest="name", required=True, metavar="NAME")
        for name, package in PACKAGES.items():
            module = import_module(f"helpers.experiments.{package}.commands")
            if not hasattr(module, command):
                continue  # the scoreboard compares; it trains nothing
            chapter = chapters.add_parser(name)
            chapter.add_argument(
                "--source",
                action="append",
                help="source of images, or an .npz of `data pack`; repeat it to join several",
            )
            if command == "train":
                _schedule_arguments(chapter)
            getattr(module, f"add_{command}")(chapter)
            chapter.set_defaults(run=getattr(module, command))


def _schedule_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--out", type=_weights_file, help="weights file, .safetensors")
    parser.add_argument("--checkpoints", type=Path, help="folder to resume from")
    parser.add_argument("--epochs", type=positive, help="instead of the paper's number")
    parser.add_argument("--minutes", type=_above_zero, help="stop after the epoch of this minute")
    parser.add_argument("--seed", type=int, default=0)


def scheduled(args: argparse.Namespace, schedule: Schedule) -> Schedule:
    """Schedule of a chapter's training, changed as the command line asks.

    Parameters
    ----------
    args : argparse.Namespace
    schedule : Schedule
        The paper's.
    """
    epochs = schedule.epochs if args.epochs is None else args.epochs
    return replace(schedule, epochs=epochs, minutes=args.minutes, seed=args.seed)


def _above_zero(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError(f"must be a number above 0, not {text}")
    return value


def positive(text: str) -> int:
    """Whole number from 1 on, as an option's value.

    Parameters
    ----------
    text : str
    """
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be 1 or more, not {text}")
    return int(text)


def _weights_file(text: str) -> Path:
    if Path(text).suffix != ".safetensors":
        raise argparse.ArgumentTypeError(f"names a .safetensors file, not {text}")
    return Path(text)
