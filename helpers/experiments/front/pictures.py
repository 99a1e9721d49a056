"""One picture for each chapter, drawn from the open pack and from the reference runs."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from helpers import codecs, metrics
from helpers.data import ImageSet, load
from helpers.data.patches import HELD_OUT
from helpers.experiments.cae_mri.data import HELD_OUT as HEADS
from helpers.experiments.front import numbers
from helpers.experiments.ldm_mammo.lesions import CLUSTER, Lesion, insert
from helpers.experiments.ldm_mammo.task import FILM_SIDE, PIXEL_MM
from helpers.figures import style

_SIZE = {"width": 5.4, "height": 3.0}  # inches: two on a wide page, one on a phone
_PATCH = 160  # pixels of the film shown round the lesion


def images() -> dict[str, ImageSet]:
    """The open pack's images behind the pictures.

    Returns
    -------
    dict of str to ImageSet
        "brain": three slices of the held-out head, 8 bits; "breast": one film, 16 bits;
        "chest": one film, 8 bits.
    """
    pack = {"source": "open-pack"}
    heads = load("brain-mri", slices=8, keep=lambda n: n.startswith(HEADS["open-pack"]), **pack)
    one_breast = f"{HELD_OUT[0]}_LEFT_CC"
    return {
        "brain": heads.spread(3),
        "breast": load(
            "mammography", FILM_SIDE, depth=16, keep=lambda name: one_breast in name, **pack
        ),
        "chest": load("chest-dicom", 256, depth=8, **pack),
    }


def brain(slices: Sequence[np.ndarray]) -> tuple[Figure, dict[str, float]]:
    """A slice as the auto-encoder and as JPEG 2000 keep it in the same bytes.

    Parameters
    ----------
    slices : sequence of (H, W) uint8
        The one is shown whose PSNR is in the middle.

    Returns
    -------
    figure : matplotlib.figure.Figure
    psnr : dict of str to float
        In dB, by codec, of this slice.
    """
    own = codecs.get("cae-brotli")
    streams = [own.encode(image) for image in slices]
    quality = [
        metrics.psnr(image, own.decode(stream), 255)
        for image, stream in zip(slices, streams, strict=True)
    ]
    middle = int(np.argsort(quality)[len(quality) // 2])
    slice_, stream = slices[middle], streams[middle]
    rival = codecs.at_rate("jpeg2000", 8 * len(stream) / slice_.size)
    decoded = {
        "cae-brotli": own.decode(stream),
        "jpeg2000": rival.decode(rival.encode(slice_)),
    }
    psnr = {name: metrics.psnr(slice_, image, 255) for name, image in decoded.items()}
    figure, axes = style.new(1, 3, **_SIZE)
    shown = {"original": slice_} | {style.label(name): image for name, image in decoded.items()}
    quarter = slice_.shape[0] // 4
    part = np.s_[quarter : 3 * quarter, quarter : 3 * quarter]
    for place, (title, image) in zip(axes[0], shown.items(), strict=True):
        _grey(place, image[part], float(slice_.max()), title)
    for place, name in zip(axes[0, 1:], decoded, strict=True):
        same = np.isinf(psnr[name])
        _below(place, "every pixel" if same else f"{psnr[name]:.1f} dB")
    return figure, psnr


def breast(film: np.ndarray) -> Figure:
    """A mammogram, and the PSNR of what is kept of such films in the bytes of sixteen numbers.

    Parameters
    ----------
    film : (H, W) uint16
    """
    table = numbers.breasts()["psnr"]
    shown = ["AE, training films", "AE, held-out films", "jpeg", "spiht", "jpegxl"]
    figure, axes = _beside(film, 0.8 * 65535)
    _bars(axes, {name: float(table[name]) for name in shown}, "PSNR (dB)", "{:.0f}")
    return figure


def chest(film: np.ndarray) -> Figure:
    """A chest film, and the rates of lossless codecs on such films.

    Parameters
    ----------
    film : (H, W) uint8
    """
    figure, axes = _beside(film, float(film.max()))
    rates = numbers.films()[["png", "ae-delta", "jpeg2000", "jpegls", "jpegxl"]]
    _bars(axes, rates.to_dict(), "rate (bpp)", "{:.1f}")
    return figure


def lesion(film: np.ndarray, seed: int) -> Figure:
    """Simulated specks of calcium in a mammogram, and the same after a stay at a quarter's size.

    Parameters
    ----------
    film : (1024, 1024) uint16
    seed : int
        Of the specks.
    """
    from PIL import Image

    brightest = np.unravel_index(np.argmax(_blurred(film)), film.shape)
    top, left = (min(max(int(p) - _PATCH // 2, 0), FILM_SIDE - _PATCH) for p in brightest)
    patch = film[top : top + _PATCH, left : left + _PATCH]
    middle = (_PATCH - 1) / 2
    specks = Lesion(CLUSTER, middle, middle, 0.15 * _PATCH, 0.1, seed)
    with_specks = insert(patch, specks, PIXEL_MM)
    small = Image.fromarray(with_specks.astype(np.float32)).resize(
        (_PATCH // numbers.QUARTER,) * 2, Image.Resampling.BOX
    )
    large = np.asarray(small.resize(patch.shape, Image.Resampling.BICUBIC))
    figure, axes = style.new(1, 2, **_SIZE)
    peak = float(with_specks.max())
    _grey(axes[0, 0], with_specks, peak, "specks of calcium", black=float(patch.min()))
    title = "from a quarter of the size"
    _grey(axes[0, 1], large, peak, title, black=float(patch.min()))
    return figure


def trade(frame: pd.DataFrame) -> Figure:
    """Time to decode over size, one mark a codec.

    Parameters
    ----------
    frame : pandas.DataFrame
        Columns codec, bpp, decode_s (seconds).
    """
    figure, grid = style.new(height=3.6)
    axes = grid[0, 0]
    for row in frame.itertuples():
        axes.plot(row.bpp, 1000 * row.decode_s, ls="", ms=10, **style.look(row.codec))
        axes.annotate(
            style.label(row.codec),
            (row.bpp, 1000 * row.decode_s),
            xytext=(9, 0),
            textcoords="offset points",
            va="center",
        )
    axes.set(yscale="log", xlabel=style.AXES["bpp"], ylabel="time to decode (ms)")
    axes.margins(x=0.2, y=0.15)
    return figure


def _blurred(film: np.ndarray) -> np.ndarray:
    from scipy.ndimage import uniform_filter

    return uniform_filter(film.astype(np.float32), _PATCH)


def _beside(image: np.ndarray, peak: float):
    """A figure with an image on the left, and the axes for bars on the right."""
    figure, axes = style.new(1, 2, gridspec_kw={"width_ratios": [1, 1]}, **_SIZE)
    _grey(axes[0, 0], image, peak, "")
    return figure, axes[0, 1]


def _grey(axes, image: np.ndarray, peak: float, title: str, black: float = 0) -> None:
    axes.imshow(image, cmap="gray", vmin=black, vmax=peak)
    axes.set_title(title, fontsize=12)
    axes.set(xticks=[], yticks=[])
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)


def _below(axes, words: str) -> None:
    axes.set_xlabel(words, fontsize=12)


def _bars(axes, values: dict[str, float], label: str, form: str) -> None:
    """Bars from top to bottom, the name in each, the value behind it."""
    names = list(values)[::-1]
    colours = [style.look("ae" if name.startswith("AE") else name)["color"] for name in names]
    drawn = axes.barh(range(len(names)), [values[name] for name in names], color=colours)
    axes.bar_label(drawn, [form.format(values[name]) for name in names], padding=3, fontsize=11)
    axes.set_yticks(range(len(names)), [style.label(name).replace(", ", ",\n") for name in names])
    axes.tick_params(axis="y", length=0, labelsize=10.5)
    axes.margins(x=0.14)
    axes.set(xticks=[], xlabel=label)
    axes.grid(visible=False)
    axes.spines["bottom"].set_visible(False)
