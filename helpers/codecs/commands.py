"""``python -m helpers encode | decode | info | codecs``."""

import argparse
import ast
from pathlib import Path

from helpers.codecs import CATALOGUE, at_psnr, at_rate, get
from helpers.codecs.container import unpack
from helpers.codecs.streams import envelope_size, unwrap, wrap
from helpers.data.files import write_atomically
from helpers.data.readers import read_image, write_image
from helpers.errors import DataError


def add_arguments(subparsers: "argparse._SubParsersAction") -> None:
    """Wire the codec commands into a command line.

    Parameters
    ----------
    subparsers : argparse subparsers
        What ``parser.add_subparsers()`` returned. Each command sets ``run``, a function of
        the parsed arguments that returns the exit code.
    """
    encode = subparsers.add_parser("encode", help="compress an image")
    encode.add_argument("image", metavar="IN", help="PNG, JPEG, TIFF, NIfTI or DICOM")
    encode.add_argument("stream", metavar="OUT.mic")
    encode.add_argument("--codec", required=True, metavar="NAME", help="see: codecs")
    aim = encode.add_mutually_exclusive_group()
    aim.add_argument("--bpp", type=float, metavar="X", help="at most X bits per pixel, all told")
    aim.add_argument("--psnr", type=float, metavar="DB", help="the fewest bytes that reach it")
    encode.add_argument("--option", action="append", default=[], metavar="KEY=VALUE")
    encode.add_argument("--slice", type=int, metavar="N", help="slice, page or frame, from 0")
    encode.add_argument("--axis", type=int, default=2, choices=(0, 1, 2), help="of a NIfTI volume")
    encode.set_defaults(run=_encode)

    decode = subparsers.add_parser("decode", help="restore an image")
    decode.add_argument("stream", metavar="IN.mic")
    decode.add_argument("image", metavar="OUT", help=".png, or .tif (also for signed pixels)")
    decode.set_defaults(run=_decode)

    info = subparsers.add_parser("info", help="say what a stream holds")
    info.add_argument("stream", metavar="IN.mic")
    info.set_defaults(run=_info)

    listing = subparsers.add_parser("codecs", help="list the codecs")
    listing.set_defaults(run=_codecs)


def _encode(args: argparse.Namespace) -> int:
    image = read_image(args.image, slice=args.slice, axis=args.axis)
    options = dict(_option(text) for text in args.option)
    aimed = args.bpp is not None or args.psnr is not None
    if taken := options.keys() & ({"name", "spare"} | ({"bpp", "psnr"} if aimed else set())):
        raise ValueError(
            f"--option cannot set {', '.join(sorted(taken))}; use --codec, --bpp and --psnr."
        )
    if args.bpp is not None:
        options["spare"] = envelope_size(args.codec, image)
        codec = at_rate(args.codec, args.bpp, **options)
    elif args.psnr is not None:
        codec = at_psnr(args.codec, args.psnr, **options)
    else:
        codec = get(args.codec, **options)
    stream = wrap(args.codec, codec, image)
    write_atomically(args.stream, stream)
    print(
        f"{args.stream}: {len(stream)} bytes, {8 * len(stream) / image.size:.3f} bits per pixel, "
        f"{image.nbytes / len(stream):.2f}:1 against {8 * image.dtype.itemsize}-bit pixels"
    )
    return 0


def _decode(args: argparse.Namespace) -> int:
    header, image = unwrap(_read(args.stream))
    write_image(args.image, image)
    proof = ", pixels proven equal by CRC-32" if header.pixel_crc is not None else ""
    print(f"{args.image}: {image.shape[0]} x {image.shape[1]} {image.dtype}{proof}")
    return 0


def _info(args: argparse.Namespace) -> int:
    stream = _read(args.stream)
    header, payload = unpack(stream)
    height, width = header.shape
    print(f"codec     {header.codec}")
    if header.model:
        print(f"weights   {header.model} ({header.weights.hex()})")
    print(f"image     {height} x {width} {header.dtype}")
    print(f"lossless  {'not proven' if header.pixel_crc is None else 'yes, by CRC-32'}")
    print(
        f"bytes     {len(stream)} ({len(payload)} payload, {len(stream) - len(payload)} envelope)"
    )
    print(f"rate      {8 * len(stream) / (height * width):.4f} bits per pixel")
    return 0


def _codecs(args: argparse.Namespace) -> int:
    for entry in CATALOGUE.values():
        kind = "/".join(
            word for word, is_so in (("lossless", entry.lossless), ("lossy", entry.lossy)) if is_so
        )
        print(f"{entry.name:<11} {kind:<15} {', '.join(entry.dtypes):<22} {entry.text}")
    return 0


def _option(text: str) -> tuple[str, object]:
    key, equals, value = text.partition("=")
    if not equals or not key.isidentifier():
        raise ValueError(f"An option is written key=value, for example step=4, not '{text}'.")
    try:
        return key, ast.literal_eval(value)
    except (ValueError, SyntaxError):
        return key, value


def _read(path: str) -> bytes:
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise DataError(f"The stream {path} cannot be read ({error.strerror}).") from error
