"""Options of ``python -m helpers train|reference lossless-delta-chest-xray``."""

import argparse

from helpers.experiments.commands import positive, scheduled

NETWORKS = ("dense", "cnn1", "cnn2", "stage2")


def add_train(parser: argparse.ArgumentParser) -> None:
    """Add the options of the training."""
    parser.add_argument("--network", choices=NETWORKS, required=True)
    parser.add_argument("--base", help="for stage2: weights of the first stage (delta-cnn2)")
    parser.add_argument("--limit", type=positive, help="at most this many films a source")


def add_reference(parser: argparse.ArgumentParser) -> None:
    """Add the options of the reference run."""
    parser.add_argument("--limit", type=positive, default=100, help="films measured a source")


def train(args: argparse.Namespace) -> int:
    """Train one network; the second stage is also joined with its first."""
    from helpers import weights
    from helpers.experiments import cards
    from helpers.experiments.lossless_delta import training as experiment

    schedule = scheduled(args, experiment.RECIPES[args.network].schedule)
    out = args.out or weights.own(f"delta-{args.network}-full")
    card = experiment.train(
        args.network,
        args.source or ["auto"],
        out,
        schedule,
        checkpoints=args.checkpoints,
        base=args.base,
        limit=args.limit,
    )
    print(cards.line(card))
    if args.network == "stage2":
        stem = out.stem.replace("stage2", "cnn3") if "stage2" in out.stem else f"{out.stem}-both"
        joined = experiment.join(card["base"], out, out.with_name(f"{stem}.safetensors"))
        print(f"{joined['name']}: both stages, {joined['bytes']} bytes")
    return 0


def reference(args: argparse.Namespace) -> int:
    """Measure the shipped weights."""
    from helpers.experiments.lossless_delta import reference as experiment

    file = experiment.run(args.source or ["auto"], args.limit)
    print(f"Written: reference/results/{file.name}")
    return 0
