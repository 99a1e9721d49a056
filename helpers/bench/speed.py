"""``bench speed``: how long the codecs take by image size, and how much memory."""

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from numcodecs.abc import Codec

from helpers import codecs
from helpers.bench.images import Images
from helpers.bench.report import REFUSALS, Report, grouped, reason
from helpers.bench.worker import centre, worker
from helpers.progress import progress

HELP = "seconds an image of 256, 512 and 1024 pixels a side, MB/s, memory; one thread"
SIDES = (256, 512, 1024)
# asked for by name, they are timed, too
WITH_FRAMEWORK = ("cae", "cae-brotli", "ae", "vae", "shrink", "hyper", "hyper-msssim", "hific")
COLUMNS = ["codec", "side", "encode_s", "decode_s", "encode_mb_s", "decode_mb_s", "peak_mib"]
_OPTIONS = {"spiht": {"bpp": 1.0}, "wavelet": {"step": 4.0}, "jpegxl": {"effort": 7}}


def speed(image: np.ndarray, names: Sequence[str]) -> tuple[pd.DataFrame, tuple[dict, ...]]:
    """Time and memory of each codec on square images, on one thread.

    Parameters
    ----------
    image : (H, W) uint8, uint16 or int16
        Repeated or cut to 256, 512 and 1024 pixels a side.
    names : sequence of str

    Returns
    -------
    table : pandas.DataFrame
        ``codec, side, encode_s, decode_s, encode_mb_s, decode_mb_s, peak_mib``: seconds an
        image and megabytes of pixels a second (best of three), and by how much the peak of
        the resident set, in a process of its own, lay above what it held before (empty where
        the system does not tell).
    left_out : tuple of dict
        Codecs that do not take the image, or lack something; see `helpers.bench.report.grouped`.
    """
    rows, refused = [], []
    for name in progress(names, "speed"):
        with worker() as call:
            found = call(_time, name, image)
        if isinstance(found, str):
            refused.append((name, "left out", found))
        else:
            rows += found
    return pd.DataFrame(rows, columns=COLUMNS), grouped(refused)


def report(images: Images, asked: Sequence[str] | None) -> Report:
    """Measure the first image and put into words.

    Parameters
    ----------
    images : Images
    asked : sequence of str or None
        Codecs; all that need no framework when None.
    """
    names = asked or [name for name in codecs.names() if name not in WITH_FRAMEWORK]
    table, left_out = speed(images.pixels[0], names)
    return Report("speed", table, _text(table), left_out)


def _time(name: str, image: np.ndarray) -> list[tuple] | str:
    try:
        codec = codecs.get(name, **_OPTIONS.get(name, {}))
        codec.decode(codec.encode(centre(image)))  # compiles and loads what there is
        return [_time_side(name, codec, image, side) for side in SIDES]
    except REFUSALS as error:
        return reason(error)


def _time_side(name: str, codec: Codec, image: np.ndarray, side: int) -> tuple:
    repeats = [-(-side // length) for length in image.shape]
    large = np.ascontiguousarray(np.tile(image, repeats)[:side, :side])
    before = _restart_peak()
    encode, stream = _best(codec.encode, large)
    decode, _ = _best(codec.decode, stream)
    megabytes = large.nbytes / 1e6
    peak = _peak_mib() - before
    return name, side, encode, decode, megabytes / encode, megabytes / decode, peak


def _best(function: Callable, argument: object) -> tuple[float, object]:
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


def _text(table: pd.DataFrame) -> str:
    shown = pd.DataFrame(
        {
            "codec": table.codec,
            "side": table.side,
            "encode s": table.encode_s.map("{:.3f}".format),
            "decode s": table.decode_s.map("{:.3f}".format),
            "encode MB/s": table.encode_mb_s.map("{:.1f}".format),
            "decode MB/s": table.decode_mb_s.map("{:.1f}".format),
            "peak MiB": table.peak_mib.map("{:.1f}".format),
        }
    )
    return (
        "Seconds an image and MB of pixels a second on one thread, growth of the process in MiB\n"
        + shown.to_string(index=False)
    )
