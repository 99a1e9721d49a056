"""Options of ``python -m helpers train|reference cae-brotli-mri``."""

import argparse
from dataclasses import replace

from helpers.experiments.commands import positive, scheduled


def add_train(parser: argparse.ArgumentParser) -> None:
    """Add the options of the training."""
    parser.add_argument("--augment", action="store_true", help="train on random views")
    parser.add_argument(
        "--split",
        choices=("patient", "slice"),
        default="patient",
        help="'slice' lets slices of one head fall on both sides, to show what that does",
    )


def add_reference(parser: argparse.ArgumentParser) -> None:
    """Add the options of the reference run."""
    parser.add_argument("--limit", type=positive, default=24, help="slices a source and side")
    parser.add_argument(
        "--compare",
        action="append",
        metavar="NAME=WEIGHTS",
        help="only compare these weights on slices that none of them was trained on",
    )


def train(args: argparse.Namespace) -> int:
    """Train and report what came out."""
    from helpers import weights
    from helpers.experiments.cae_mri import training as experiment

    schedule = replace(scheduled(args, experiment.PAPER), augment=args.augment)
    card = experiment.train(
        args.source or ["auto"],
        args.out or weights.own("cae-mri-full"),
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


def reference(args: argparse.Namespace) -> int:
    """Measure, or compare weights."""
    if wrong := [pair for pair in args.compare or () if "=" not in pair]:
        raise ValueError(f"--compare takes NAME=WEIGHTS, not {wrong[0]}.")
    from helpers.experiments.cae_mri import reference as experiment

    sources = args.source or ["auto"]
    if args.compare:
        models = dict(pair.split("=", 1) for pair in args.compare)
        file = experiment.compare_models(sources, models)
    else:
        file = experiment.run(sources, args.limit)
    print(f"Written: reference/results/{file.name}")
    return 0
