"""The boards as tables of a page: headings with units, intervals as text."""

import math

import pandas as pd

from helpers.experiments.scoreboard.boards import label

FORMATS = {
    "encode (ms)": "{:,.1f}",
    "decode (ms)": "{:,.1f}",
    "weights (KiB)": "{:,.0f}",
    "break-even (images)": "{:,.0f}",
}


def codecs(catalogue: pd.DataFrame) -> pd.DataFrame:
    """Every codec of the book.

    Parameters
    ----------
    catalogue : pandas.DataFrame
        From `helpers.experiments.scoreboard.boards.catalogue`.

    Returns
    -------
    pandas.DataFrame
        Columns Codec, Kind, Pixels, How it works, weights (KiB).
    """
    kinds = {(True, True): "both", (True, False): "lossy", (False, True): "lossless"}
    pairs = zip(catalogue["lossy"], catalogue["lossless"], strict=True)
    return pd.DataFrame(
        {
            "Codec": catalogue["label"],
            "Kind": [kinds[pair] for pair in pairs],
            "Pixels": catalogue["dtypes"],
            "How it works": catalogue["text"],
            "weights (KiB)": catalogue["weights_kib"],
        }
    )


def lossy(board: pd.DataFrame) -> pd.DataFrame:
    """Codecs with a curve.

    Parameters
    ----------
    board : pandas.DataFrame
        From `helpers.experiments.scoreboard.boards.lossy_board`.

    Returns
    -------
    pandas.DataFrame
        Columns Modality, Codec, BD-rates with intervals (text), times, break-even.
    """
    return pd.DataFrame(
        {
            "Modality": board["modality"],
            "Codec": board["codec"].map(label),
            "BD-rate, PSNR (%)": intervals(board, "bd_psnr"),
            "BD-rate, MS-SSIM (%)": intervals(board, "bd_ms_ssim"),
            "encode (ms)": 1000 * board["encode_s"],
            "decode (ms)": 1000 * board["decode_s"],
            "break-even (images)": board["break_even"],
        }
    )


def points(board: pd.DataFrame) -> pd.DataFrame:
    """Codecs with one operating point.

    Parameters
    ----------
    board : pandas.DataFrame
        From `helpers.experiments.scoreboard.boards.points_board`.

    Returns
    -------
    pandas.DataFrame
        Columns Modality, Codec, rate, qualities, JPEG 2000's lead, weights.
    """
    return pd.DataFrame(
        {
            "Modality": board["modality"],
            "Codec": board["codec"].map(label),
            "rate (bpp)": board["bpp"].map("{:.3f}".format),
            "PSNR (dB)": board["psnr"].map("{:.1f}".format),
            "MS-SSIM": board["ms_ssim"].map("{:.3f}".format),
            "above JPEG 2000 (dB)": [_signed(value) for value in board["gap"]],
            "weights (KiB)": board["weights_kib"],
        }
    )


def lossless(board: pd.DataFrame) -> pd.DataFrame:
    """Lossless codecs.

    Parameters
    ----------
    board : pandas.DataFrame
        From `helpers.experiments.scoreboard.boards.lossless_board`.

    Returns
    -------
    pandas.DataFrame
        Columns Modality, Codec, bits a pixel with intervals (text), times, weights, break-even.
    """
    return pd.DataFrame(
        {
            "Modality": _depths(board),
            "Codec": board["codec"].map(label),
            "bits a pixel": intervals(board, "bpp", "{:.2f}"),
            "encode (ms)": 1000 * board["encode_s"],
            "decode (ms)": 1000 * board["decode_s"],
            "weights (KiB)": board["weights_kib"],
            "break-even (images)": board["break_even"],
        }
    )


def beside(run: pd.DataFrame, reference: pd.DataFrame, value: str, form: str) -> pd.DataFrame:
    """One number of this run beside the reference run's, for what this run has measured.

    Parameters
    ----------
    run, reference : pandas.DataFrame
        Boards of one kind.
    value : str
        Column of both that has an interval.
    form : str
        Format string of the number.

    Returns
    -------
    pandas.DataFrame
        Columns Modality, Codec, This run, its images, Reference, its images; a dash where the
        reference run has no such codec.
    """
    keys = ["modality", "codec", *(["bits"] if "bits" in run else [])]
    both = run.merge(reference, on=keys, how="left", suffixes=("", "_reference"))
    theirs = both[[column for column in both if column.endswith("_reference")]]
    theirs = theirs.rename(columns=lambda column: column.removesuffix("_reference"))
    return pd.DataFrame(
        {
            "Modality": _depths(both) if "bits" in both else both["modality"],
            "Codec": both["codec"].map(label),
            "This run": intervals(both, value, form),
            "images": both["images"],
            "Reference": intervals(theirs, value, form),
            "images there": theirs["images"],
        }
    )


def intervals(board: pd.DataFrame, value: str, form: str = "{:+.1f}") -> list[str]:
    """Means with their intervals as text: ``-23.3 [-25.1, -20.9]``.

    Parameters
    ----------
    board : pandas.DataFrame
    value : str
        Column; those of the ends are called ``_low`` and ``_high``.
    form : str
        Format string of a number.

    Returns
    -------
    list of str
        A dash where there is no mean, the mean alone where there are no ends.
    """
    found = []
    for mean, low, high in board[[value, f"{value}_low", f"{value}_high"]].to_numpy(float):
        ends = "" if math.isnan(low) else f" [{form.format(low)}, {form.format(high)}]"
        found.append("–" if math.isnan(mean) else form.format(mean) + ends)
    return found


def _depths(board: pd.DataFrame) -> list[str]:
    pairs = zip(board["modality"], board["bits"], strict=True)
    return [f"{modality}, {bits} bits" for modality, bits in pairs]


def _signed(value: float) -> str:
    return "–" if math.isnan(value) else f"{value:+.1f}"
