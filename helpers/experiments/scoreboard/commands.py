"""Options of ``python -m helpers reference scoreboard``."""

import argparse

from helpers.experiments.commands import positive


def add_reference(parser: argparse.ArgumentParser) -> None:
    """Add the options of the reference run."""
    parser.add_argument("--limit", type=positive, help="about so many images a modality")


def reference(args: argparse.Namespace) -> int:
    """Measure every codec of the catalogue on held-out images."""
    from helpers.experiments.scoreboard import reference as experiment

    if args.source:
        raise ValueError("The sources of the scoreboard are fixed; leave out --source.")
    file = experiment.run(args.limit)
    print(f"Written: reference/results/{file.name}")
    return 0
