"""Options of ``python -m helpers train|reference ae-vae-cbis-ddsm``."""

import argparse

from helpers.experiments.commands import positive, scheduled


def add_train(parser: argparse.ArgumentParser) -> None:
    """Add the options of the training."""
    parser.add_argument("--network", choices=("ae", "vae"), required=True)
    parser.add_argument("--side", type=positive, default=256, help="of the films, in pixels")
    parser.add_argument("--beta", type=float, default=1.0, help="weight of the VAE's divergence")
    parser.add_argument("--limit", type=positive, help="at most this many images a source")


def add_reference(parser: argparse.ArgumentParser) -> None:
    """Add the options of the reference run."""
    parser.add_argument("--limit", type=positive, help="films measured a source and side")
    parser.add_argument(
        "--sweep", action="append", default=[], metavar="WEIGHTS", help="a VAE of another beta"
    )


def train(args: argparse.Namespace) -> int:
    """Train one network and report what came out."""
    from helpers import weights
    from helpers.experiments.ae_vae import training as experiment

    schedule = scheduled(args, experiment.RECIPES[args.network].schedule)
    card = experiment.train(
        args.network,
        args.source or ["auto"],
        args.out or weights.own(f"{args.network}-mammo-full"),
        schedule,
        side=args.side,
        beta=args.beta,
        checkpoints=args.checkpoints,
        limit=args.limit,
    )
    last = card["history"][-1]
    print(
        f"{card['name']}: {card['images_per_second']} images/s, epoch {card['kept_epoch']} kept, "
        f"held-out PSNR at the end {last['held_out_psnr']:.2f} dB, {card['bytes']} bytes"
    )
    return 0


def reference(args: argparse.Namespace) -> int:
    """Measure the shipped weights, and the VAEs of the sweep."""
    from helpers.experiments.ae_vae import reference as experiment

    file = experiment.run(args.source or ["auto"], args.limit, args.sweep)
    print(f"Written: reference/results/{file.name}")
    return 0
