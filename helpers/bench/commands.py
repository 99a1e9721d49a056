"""``python -m helpers bench rd | speed | lossless | lossy | all | train``."""

import argparse
import json
import sys
from pathlib import Path

from helpers.bench import images, lossless, lossy, rates, speed, train
from helpers.bench.report import Report
from helpers.experiments import cards

SUBJECTS = {"rd": rates, "speed": speed, "lossless": lossless, "lossy": lossy}
ALL = ("rd", "speed")


def add_arguments(subparsers: "argparse._SubParsersAction") -> None:
    """Wire the command ``bench`` into a command line.

    Parameters
    ----------
    subparsers : argparse subparsers
    """
    lines = [f"  {name:<9} {subject.HELP}" for name, subject in SUBJECTS.items()]
    parser = subparsers.add_parser(
        "bench",
        help="measure the codecs, and how fast the models train",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        description="\n".join(
            [
                "Measure the codecs on this machine:",
                *lines,
                f"  {'all':<9} {' and '.join(ALL)}",
                "or the training of the models:",
                f"  {'train':<9} {train.HELP}",
            ]
        ),
        epilog="The fields of the JSON are documented in helpers/bench/__init__.py.",
    )
    parser.add_argument("what", nargs="?", choices=(*SUBJECTS, "all", "train"), default="all")
    parser.add_argument(
        "--images",
        metavar="DIR",
        help="folder of PNG, TIFF, DICOM or NIfTI files, sub-folders too; when omitted the brain "
        "MRI, and for lossless and lossy what the open pack holds out: brains, chests, mammograms",
    )
    parser.add_argument(
        "--count", type=int, default=12, metavar="N", help="images at most (default 12)"
    )
    parser.add_argument(
        "--codecs",
        nargs="+",
        metavar="NAME",
        help="see: python -m helpers codecs (what they are compared with is always measured)",
    )
    parser.add_argument(
        "--models",
        nargs="+",
        metavar="NAME",
        help=f"for train, all when omitted: {', '.join(train.MODELS)}",
    )
    parser.add_argument(
        "--seconds",
        type=float,
        default=train.SECONDS,
        metavar="S",
        help=f"for train: of each model's training that is timed (default {train.SECONDS:g})",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.set_defaults(run=_run)


def _run(args: argparse.Namespace) -> int:
    if args.what == "train":
        return _train(args)
    if args.models:
        raise ValueError("--models is for bench train; the codecs are chosen with --codecs.")
    chosen = _images(args)
    for sentence in chosen.refused:
        print(sentence, file=sys.stderr)
    reports = []
    for name in ALL if args.what == "all" else (args.what,):
        reports.append(SUBJECTS[name].report(chosen, args.codecs))
        for entry in reports[-1].left_out:
            print(_sentence(entry), file=sys.stderr)
    _print(args, reports, {"images": chosen.facts()})
    return 0


def _train(args: argparse.Namespace) -> int:
    if args.codecs or args.images:
        raise ValueError("bench train measures models, not codecs or images; choose with --models.")
    report = train.report(args.models, args.seconds)
    for entry in report.left_out:
        print(f"{entry['model']} left out: {entry['reason']}.", file=sys.stderr)
    _print(args, [report], {})
    return 0


def _print(args: argparse.Namespace, reports: list[Report], facts: dict) -> None:
    if not args.json:
        print("\n\n".join(report.text for report in reports))
        return
    facts = facts | {
        "machine": cards.when_and_where(),
        "left_out": [entry for report in reports for entry in report.left_out],
    }
    print(json.dumps(facts | {report.name: report.records() for report in reports}))


def _images(args: argparse.Namespace) -> images.Images:
    if args.count < 1:
        raise ValueError(f"--count must be 1 or more, not {args.count}.")
    if args.images is not None:
        return images.folder(Path(args.images), args.count)
    if args.what == "lossless":
        return images.held_out(args.count)
    return images.unseen(args.count) if args.what == "lossy" else images.brains(args.count)


def _sentence(entry: dict) -> str:
    many = f"{entry['images']} image{'s' if entry['images'] != 1 else ''}"
    return f"{entry['codec']}, {many} {entry['what']}: {entry['reason']}."
