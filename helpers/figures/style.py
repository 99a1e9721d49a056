"""One look for the whole book: a codec has the same colour, marker and name on every page."""

import logging
import re
import zlib
from typing import Any

from matplotlib import pyplot
from matplotlib.axes import Axes
from matplotlib.figure import Figure

# a first run builds a font cache and says so on stderr, where a page would show it
logging.getLogger("matplotlib.font_manager").setLevel(logging.ERROR)

WIDTH = 6.2  # inches: with 12-point letters still readable on a phone
RC = {
    "figure.max_open_warning": 0,  # the frames of a slider are open together
    "font.size": 12,
    "axes.titlesize": 12,
    "axes.labelsize": 12,
    "xtick.labelsize": 11,
    "ytick.labelsize": 11,
    "legend.fontsize": 11,
    "legend.frameon": False,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e3e3e3",
    "axes.axisbelow": True,
    "lines.linewidth": 2,
    "lines.markersize": 6.5,
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.constrained_layout.use": True,
}

# Okabe and Ito's colours for the lossy codecs, Tol's muted ones for the rest: both sets stay
# apart for colour-blind readers, and so do the red and the violet of AE and VAE from all other
# lossy codecs; the marker says it again.
_CODECS = {
    "jpeg": ("JPEG", "#E69F00", "o"),
    "jpeg2000": ("JPEG 2000", "#0072B2", "s"),
    "jpegxl": ("JPEG XL", "#009E73", "D"),
    "avif": ("AVIF", "#D55E00", "^"),
    "wavelet": ("Coiflet wavelet", "#56B4E9", "v"),
    "spiht": ("SPIHT", "#CC79A7", "P"),
    "cae": ("CAE", "#6b6b6b", "X"),
    "cae-brotli": ("CAE + Brotli", "#000000", "*"),
    "ae": ("AE, 16 numbers", "#B2182B", "8"),
    "vae": ("VAE, 16 numbers", "#4B0055", "H"),
    "png": ("PNG", "#999933", "<"),
    "jpegls": ("JPEG-LS", "#44AA99", ">"),
    "webp": ("WebP", "#AA4499", "h"),
    "htj2k": ("HTJ2K", "#332288", "p"),
    "ae-delta": ("AE + delta", "#882255", "d"),
    "learned": ("learned, lossless", "#661100", "o"),
    "hyper": ("learned, lossy", "#5D3A9B", "o"),
    "hyper-msssim": ("learned, lossy, for MS-SSIM", "#A98FD0", "D"),
    "hific": ("HiFiC counterpart", "#8B5A00", "*"),
}
_OTHERS = ["#DDCC77", "#117733", "#332288", "#661100", "#6699CC", "#888888"]
_MARKERS = ["o", "s", "D", "^", "v", "P", "X"]
CYCLE = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"]

AXES = {
    "bpp": "rate (bpp)",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "ms_ssim": "MS-SSIM",
    "fsim": "FSIM",
    "mse": "MSE (grey levels²)",
    "max_error": "largest error (grey levels)",
    "bytes": "size (bytes)",
    "ratio_8bit": "ratio against 8 bits",
    "encode_s": "time to encode (s)",
    "decode_s": "time to decode (s)",
}


def _key(name: str) -> str:
    """Find a codec whether it is called ``jpeg2000`` or ``JPEG 2000``."""
    plain = re.sub(r"[^a-z0-9]", "", name.lower())
    for key, (title, _, _) in _CODECS.items():
        if plain in (re.sub("[^a-z0-9]", "", text.lower()) for text in (key, title)):
            return key
    return name


def label(name: str) -> str:
    """Name of a codec as prose writes it: ``jpeg2000`` becomes ``JPEG 2000``.

    Parameters
    ----------
    name : str

    Returns
    -------
    str
        The name itself where the book has no other.
    """
    key = _key(name)
    return _CODECS[key][0] if key in _CODECS else name


def names() -> list[str]:
    """Ids of all codecs that have a colour, a marker and a name of their own.

    Returns
    -------
    list of str
    """
    return list(_CODECS)


def known(name: str) -> bool:
    """Whether a name is that of one of the book's codecs, with a colour of its own.

    Parameters
    ----------
    name : str

    Returns
    -------
    bool
    """
    return _key(name) in _CODECS


def look(name: str) -> dict[str, Any]:
    """Colour and marker of a codec, the same on every page.

    Parameters
    ----------
    name : str

    Returns
    -------
    dict
        Keywords ``color`` and ``marker`` of a matplotlib line.
    """
    key = _key(name)
    if key in _CODECS:
        return {"color": _CODECS[key][1], "marker": _CODECS[key][2]}
    number = zlib.crc32(key.encode())
    return {
        "color": _OTHERS[number % len(_OTHERS)],
        "marker": _MARKERS[number % len(_MARKERS)],
    }


def new(rows: int = 1, columns: int = 1, *, width: float = WIDTH, height: float = 4.0, **options):
    """Start a figure in the book's look.

    Parameters
    ----------
    rows, columns : int
    width, height : float
        Of the whole figure, in inches.
    **options
        Passed on to `matplotlib.pyplot.subplots`.

    Returns
    -------
    figure : matplotlib.figure.Figure
    axes : (rows, columns) array of matplotlib.axes.Axes
    """
    with pyplot.rc_context(RC):
        return pyplot.subplots(rows, columns, figsize=(width, height), squeeze=False, **options)


def legend(figure: Figure, axes: Axes, entries: int) -> None:
    """Put a legend above the axes, where it hides no data.

    Parameters
    ----------
    figure : matplotlib.figure.Figure
    axes : matplotlib.axes.Axes
    entries : int
        Number of entries; a single one needs no legend.
    """
    if entries > 1:
        figure.legend(
            *axes.get_legend_handles_labels(),
            loc="outside upper center",
            ncols=min(entries, 3),
            frameon=False,
            fontsize=RC["legend.fontsize"],
        )
