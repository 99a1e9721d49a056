"""Options of ``python -m helpers train|reference ldm-mammography``."""

import argparse
from pathlib import Path

from helpers.experiments.commands import positive, scheduled

PAPERS = "papers"
NAMES = {"vae": "upscaler-vae", "unet": "upscaler-unet", "superres": "superres"}
_SCALE = {  # of the reference run; what is not given is as its module has it
    "films": "at most this many films, of all sides",
    "measured": "test films that all upscalers restore",
    "patches": "patches of the detection task, of all sides",
    "epochs": "of each classifier",
    "trials": "of the search for the classifier's settings",
}


def add_train(parser: argparse.ArgumentParser) -> None:
    """Add the options of the training."""
    parser.add_argument("--network", choices=(*NAMES, PAPERS), required=True)
    parser.add_argument(
        "--begin", metavar="WEIGHTS", help="for unet: weights to fine-tune, by their name"
    )
    parser.add_argument("--limit", type=positive, help="at most this many films a source")


def add_reference(parser: argparse.ArgumentParser) -> None:
    """Add the options of the reference run."""
    for name, text in _SCALE.items():
        parser.add_argument(f"--{name}", type=positive, help=text)
    parser.add_argument("--checkpoints", type=Path, help="folder to resume from")


def train(args: argparse.Namespace) -> int:
    """Train or fine-tune one network and report what came out."""
    from helpers import weights
    from helpers.experiments import cards
    from helpers.experiments.ldm_mammo import training as experiment

    if args.network == PAPERS:
        return _finetune(args)
    card = experiment.train(
        args.network,
        args.source or ["auto"],
        args.out or weights.own(NAMES[args.network]),
        scheduled(args, experiment.RECIPES[args.network]),
        checkpoints=args.checkpoints,
        limit=args.limit,
        begin=args.begin,
    )
    print(cards.line(card))
    return 0


def _finetune(args: argparse.Namespace) -> int:
    """Fine-tune the paper's own upscaler, where it is at hand."""
    from helpers import weights
    from helpers.errors import DataError
    from helpers.experiments.ldm_mammo import finetuning
    from helpers.upscalers import hub

    pipeline, why = hub.load()
    if pipeline is None:
        raise DataError(f"{hub.REPOSITORY} cannot be fine-tuned: {why}.")
    folder = (args.out or weights.own("upscaler-papers")).with_suffix("")
    card = finetuning.finetune(
        pipeline,
        args.source or ["auto"],
        folder,
        scheduled(args, finetuning.RECIPE),
        checkpoints=args.checkpoints,
        limit=args.limit,
    )
    last = card["history"][-1]
    print(f"{folder.name}: held-out PSNR {last['held_out_psnr']:.2f} dB; {hub.VARIABLE}={folder}")
    return 0


def reference(args: argparse.Namespace) -> int:
    """Measure the shipped weights and train the five classifiers."""
    from helpers.experiments.ldm_mammo import reference as experiment

    asked = {name: value for name in _SCALE if (value := getattr(args, name)) is not None}
    sources = args.source or ["cbis-ddsm-256"]  # "auto" may be films without diagnoses
    file = experiment.run(sources, args.checkpoints, **asked)
    print(f"Written: reference/results/{file.name}")
    return 0
