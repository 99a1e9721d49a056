"""``python -m helpers train|reference NAME``: the full-scale runs that ``reference/`` keeps."""

import argparse
from dataclasses import replace
from pathlib import Path

NAMES = ("cae-brotli-mri",)


def add_arguments(subparsers) -> None:
    """Add the commands ``train`` and ``reference`` to the command line.

    Parameters
    ----------
    subparsers : argparse action
        What ``ArgumentParser.add_subparsers`` returned.
    """
    train = subparsers.add_parser("train", help="train a chapter's network at the paper's scale")
    train.add_argument("name", choices=NAMES)
    train.add_argument(
        "--source",
        action="append",
        help="source of images, or an .npz of `data pack`; repeat it to join several",
    )
    train.add_argument("--out", type=Path, help="weights file, .safetensors")
    train.add_argument("--checkpoints", type=Path, help="folder to resume from")
    train.add_argument("--epochs", type=int, help="instead of the paper's number")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--augment", action="store_true", help="train on random views")
    train.add_argument(
        "--split",
        choices=("patient", "slice"),
        default="patient",
        help="'slice' lets slices of one head fall on both sides, to show what that does",
    )
    train.set_defaults(run=_train)

    reference = subparsers.add_parser("reference", help="measure a chapter's reference run")
    reference.add_argument("name", choices=NAMES)
    reference.add_argument("--source", action="append")
    reference.add_argument("--limit", type=int, default=24, help="slices a source and side")
    reference.add_argument(
        "--compare",
        action="append",
        metavar="NAME=WEIGHTS",
        help="only compare these weights on slices that none of them was trained on",
    )
    reference.set_defaults(run=_reference)


def _train(args: argparse.Namespace) -> int:
    if args.epochs is not None and args.epochs < 1:
        raise ValueError(f"--epochs must be 1 or more, not {args.epochs}.")
    if args.out is not None and args.out.suffix != ".safetensors":
        raise ValueError(f"--out names a .safetensors file, not {args.out}.")
    from helpers import weights
    from helpers.experiments.cae_mri import training as experiment

    schedule = replace(experiment.PAPER, seed=args.seed, augment=args.augment)
    if args.epochs is not None:
        schedule = replace(schedule, epochs=args.epochs)
    out = args.out or weights.own("cae-mri-full")
    card = experiment.train(
        args.source or ["auto"],
        out,
        schedule,
        checkpoints=args.checkpoints,
        split=args.split,
    )
    last = card["history"][-1]
    print(
        f"{card['name']}: {card['images_per_second']} images/s, "
        f"{100 * card['share_of_matrix_rate']:.1f} % of the device's matrix rate, "
        f"held-out PSNR {last['held_out_psnr']:.2f} dB, {card['bytes']} bytes"
    )
    return 0


def _reference(args: argparse.Namespace) -> int:
    if args.limit < 1:
        raise ValueError(f"--limit must be 1 or more, not {args.limit}.")
    if wrong := [pair for pair in args.compare or () if "=" not in pair]:
        raise ValueError(f"--compare takes NAME=WEIGHTS, not {wrong[0]}.")
    from helpers.experiments.cae_mri import reference

    sources = args.source or ["auto"]
    if args.compare:
        models = dict(pair.split("=", 1) for pair in args.compare)
        file = reference.compare_models(sources, models)
    else:
        file = reference.run(sources, args.limit)
    print(f"Written: reference/results/{file.name}")
    return 0
