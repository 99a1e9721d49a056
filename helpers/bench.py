"""``python -m helpers bench``: rate-distortion and speed of the codecs, on this machine."""

import argparse
import contextlib
import json
import multiprocessing
import time
from pathlib import Path

import numpy as np
import pandas as pd

from helpers import codecs, data
from helpers.data import splits
from helpers.data.files import image_files
from helpers.data.readers import read_image
from helpers.errors import DataError
from helpers.progress import progress

RATES = (0.25, 0.5, 1.0, 2.0)  # bits per pixel
ANCHOR = "jpeg2000"
RD_CODECS = ("jpeg", ANCHOR, "jpegxl", "avif", "wavelet", "spiht")
SIDES = (256, 512, 1024)
# asked for by name, they are timed, too
WITH_FRAMEWORK = ("cae", "cae-brotli", "ae", "vae", "shrink")
_OPTIONS = {"spiht": {"bpp": 1.0}, "wavelet": {"step": 4.0}, "jpegxl": {"effort": 7}}


def add_arguments(subparsers: "argparse._SubParsersAction") -> None:
    """Wire the command ``bench`` into a command line.

    Parameters
    ----------
    subparsers : argparse subparsers
    """
    parser = subparsers.add_parser("bench", help="measure the codecs")
    parser.add_argument("what", nargs="?", choices=("rd", "speed", "all"), default="all")
    parser.add_argument("--images", metavar="DIR", help="folder; the brain MRI when omitted")
    parser.add_argument("--count", type=int, default=12, help="images at most (default 12)")
    parser.add_argument("--codecs", nargs="+", metavar="NAME")
    parser.add_argument("--json", action="store_true", help="print JSON instead of tables")
    parser.set_defaults(run=_run)


def rate_distortion(images: list[np.ndarray], names: tuple[str, ...]) -> pd.DataFrame:
    """PSNR of each codec at equal bytes.

    Parameters
    ----------
    images : list of (H, W) integer arrays
    names : tuple of str
        Codecs that can be lossy.

    Returns
    -------
    pandas.DataFrame
        A row a codec, rate and image: ``codec, target_bpp, image, bytes, bpp, psnr, gap``;
        ``psnr`` in dB (infinite where exact, empty where the codec has no stream so small),
        ``gap`` in dB to JPEG 2000 (empty where either is not finite).
    """
    jobs = [(k, rate, name) for k in range(len(images)) for rate in RATES for name in names]
    rows = []
    for k, rate, name in progress(jobs, "rate-distortion"):
        size, psnr = _measure(images[k], name, rate)
        rows.append((name, rate, k, size, 8 * size / images[k].size, psnr))
    frame = pd.DataFrame(rows, columns=["codec", "target_bpp", "image", "bytes", "bpp", "psnr"])
    anchor = frame[frame.codec == ANCHOR].set_index(["target_bpp", "image"]).psnr
    against = [anchor.get((row.target_bpp, row.image), np.nan) for row in frame.itertuples()]
    finite = np.isfinite(frame.psnr) & np.isfinite(against)
    frame["gap"] = (frame.psnr - against).where(finite)
    return frame


def speed(image: np.ndarray, names: tuple[str, ...]) -> pd.DataFrame:
    """Throughput and memory of each codec on square images.

    Parameters
    ----------
    image : (H, W) uint8
        Repeated or cut to 256, 512 and 1024 pixels a side.
    names : tuple of str

    Returns
    -------
    pandas.DataFrame
        ``codec, side, encode_mb_s, decode_mb_s, peak_mib``: megabytes of pixels a second
        (best of three), and by how much the peak of the resident set, in a process of its
        own, lay above what it held before (empty where the system does not tell).
    """
    rows = []
    context = multiprocessing.get_context("spawn")
    for name in progress(names, "speed"):
        with context.Pool(1) as pool:
            rows += pool.apply(_time, (name, image))
    return pd.DataFrame(rows, columns=["codec", "side", "encode_mb_s", "decode_mb_s", "peak_mib"])


def _measure(image: np.ndarray, name: str, rate: float) -> tuple[float, float]:
    codec = codecs.at_rate(name, rate)
    try:
        stream = codec.encode(image)
    except ValueError:  # no stream that small
        return np.nan, np.nan
    mse = np.mean((codec.decode(stream).astype(np.float64) - image) ** 2)
    peak = np.iinfo(image.dtype).max
    return len(stream), 10 * np.log10(peak**2 / mse) if mse else np.inf


def _time(name: str, image: np.ndarray) -> list[tuple]:
    codec = codecs.get(name, **_OPTIONS.get(name, {}))
    codec.decode(codec.encode(image[:64, :64]))  # compiles and loads what there is
    rows = []
    for side in SIDES:
        repeats = [-(-side // length) for length in image.shape]
        large = np.ascontiguousarray(np.tile(image, repeats)[:side, :side])
        before = _restart_peak()
        encode, stream = _best(codec.encode, large)
        decode, _ = _best(codec.decode, stream)
        megabytes = large.nbytes / 1e6
        rows.append((name, side, megabytes / encode, megabytes / decode, _peak_mib() - before))
    return rows


def _best(function, argument) -> tuple[float, object]:
    times = []
    for _ in range(3):
        started = time.perf_counter()
        result = function(argument)
        times.append(time.perf_counter() - started)
    return min(times), result


def _restart_peak() -> float:
    """Let the kernel forget this process's peak memory; return the present one in MiB."""
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5")
    return _peak_mib()


def _peak_mib() -> float:
    """Peak resident memory in MiB, not a number where the system does not tell."""
    # Not getrusage: its peak outlives exec, so a child would start with its parent's.
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return float("nan")
    return next(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line) / 1024


def _images(args: argparse.Namespace) -> list[np.ndarray]:
    if args.count < 1:
        raise ValueError(f"--count must be 1 or more, not {args.count}.")
    if args.images is None:
        _, test = splits.by_patient(data.load("brain-mri"), test=0.2, seed=0)
        images = list(test)
    else:
        images = [read_image(path) for path in image_files(Path(args.images))]
    if not images:
        raise DataError(f"There is no image in {args.images}; name a folder of PNG or TIFF files.")
    step = max(len(images) // args.count, 1)
    return images[::step][: args.count]


def _run(args: argparse.Namespace) -> int:
    images = _images(args)
    results = {}
    if args.what in ("rd", "all"):
        names = tuple(dict.fromkeys([ANCHOR, *(args.codecs or RD_CODECS)]))
        results["rate_distortion"] = rate_distortion(images, names)
    if args.what in ("speed", "all"):
        names = tuple(args.codecs or (n for n in codecs.names() if n not in WITH_FRAMEWORK))
        results["speed"] = speed(images[0], names)
    if args.json:
        print(
            json.dumps({key: json.loads(f.to_json(orient="records")) for key, f in results.items()})
        )
        return 0
    if "rate_distortion" in results:
        _print_rates(results["rate_distortion"], len(images))
    if "speed" in results:
        print("\nThroughput in MB of pixels a second, growth of the process in MiB")
        print(results["speed"].round(1).to_string(index=False))
    return 0


def _print_rates(frame: pd.DataFrame, count: int) -> None:
    print(f"PSNR in dB at equal bytes, mean over {count} images (gap: to JPEG 2000, per image)")
    rows = []
    for (rate, name), group in frame.groupby(["target_bpp", "codec"], sort=False):
        finite = group.psnr[np.isfinite(group.psnr)]
        rows.append(
            {
                "bpp": rate,
                "codec": name,
                "psnr": finite.mean(),
                "gap": group.gap.mean(),
                "worst": group.gap.min(),
                "exact": int(np.isinf(group.psnr).sum()),
                "too small": int(group.psnr.isna().sum()),
            }
        )
    print(pd.DataFrame(rows).round(2).to_string(index=False))
