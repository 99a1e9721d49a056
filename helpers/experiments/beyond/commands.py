"""Options of ``python -m helpers train|reference beyond-the-papers``."""

import argparse
from importlib import import_module

from helpers.experiments.commands import positive, scheduled

MODALITIES = ("chest", "mri", "mammography")
LOSSY = ("hyper-mse", "hyper-msssim")
PAINTED = ("hific-chest",)
REFERENCES = {
    "lossless": "reference",
    "lossy": "lossy_reference",
    "ablation": "ablation_reference",
    "hific": "hific_reference",
    "msssim": "similarity_reference",
}


def add_train(parser: argparse.ArgumentParser) -> None:
    """Add the options of the training."""
    parser.add_argument("--network", choices=(*MODALITIES, *LOSSY, *PAINTED), required=True)
    parser.add_argument("--limit", type=positive, help="at most this many images a source")


def train(args: argparse.Namespace) -> int:
    """Train one network and report what came out."""
    if args.network in LOSSY:
        return _train_lossy(args)
    if args.network in PAINTED:
        return _train_painter(args)
    from helpers import weights
    from helpers.experiments.beyond import training

    _refuse_sources(args)
    card = training.train(
        args.network,
        args.out or weights.own(f"lossless-{args.network}"),
        scheduled(args, training.RECIPE),
        checkpoints=args.checkpoints,
        limit=args.limit,
    )
    last = card["history"][-1]
    print(
        f"{card['name']}: {card['pixels_per_second']} pixels/s, held out "
        f"{last['held_out_loss']:.3f} bits a pixel, {card['bytes']} bytes"
    )
    return 0


def _train_lossy(args: argparse.Namespace) -> int:
    from helpers import weights
    from helpers.experiments.beyond import lossy, similarity

    _refuse_sources(args)
    squared = args.network == LOSSY[0]
    card = lossy.train(
        args.out or weights.own(args.network),
        scheduled(args, lossy.RECIPE if squared else similarity.RECIPE),
        checkpoints=args.checkpoints,
        limit=args.limit,
        begin=None if squared else LOSSY[0],
    )
    print(
        f"{card['name']}: {card['steps']} steps, {card['images_per_second']} crops/s, held out "
        f"{card['history'][-1]['held_out_loss']:.3f}, {card['bytes']} bytes"
    )
    return 0


def _train_painter(args: argparse.Namespace) -> int:
    from helpers import weights
    from helpers.experiments.beyond import hific

    _refuse_sources(args)
    card = hific.train(
        args.out or weights.own(args.network),
        scheduled(args, hific.RECIPE),
        checkpoints=args.checkpoints,
        limit=args.limit,
    )
    print(
        f"{card['name']}: level {card['level']}, {card['steps']} steps, "
        f"{card['images_per_second']} crops/s, held out LPIPS "
        f"{card['history'][-1]['held_out_loss']:.3f}, {card['bytes']} bytes"
    )
    return 0


def add_reference(parser: argparse.ArgumentParser) -> None:
    """Add the options of the reference run."""
    parser.add_argument("--codec", choices=tuple(REFERENCES), default="lossless")
    parser.add_argument("--limit", type=positive, help="at most this many images a set")


def reference(args: argparse.Namespace) -> int:
    """Measure a shipped codec on held-out images."""
    _refuse_sources(args)
    experiment = import_module(f"helpers.experiments.beyond.{REFERENCES[args.codec]}")
    file = experiment.run(args.limit)
    print(f"Written: reference/results/{file.name}")
    return 0


def _refuse_sources(args: argparse.Namespace) -> None:
    if args.source:
        raise ValueError(
            "The sources of beyond-the-papers are fixed, several for each network; leave out "
            "--source."
        )
