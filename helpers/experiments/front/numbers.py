"""Numbers of the reference runs that the front page and *Today's practice* quote.

Every one is read from ``reference/results``; the chapters say how it was measured.
"""

import numpy as np
import pandas as pd

from helpers.experiments import results

HEAD = "open-pack"  # the held-out head of the book's own images
FILMS = "kermany-256"  # held-out films, prepared as in the paper on lossless coding
QUARTER = 4  # factor by which the films of the fourth paper are reduced at most
CLUSTER = "CLUSTER"


def brains() -> pd.DataFrame:
    """The auto-encoder with Brotli and the standards, in no more bytes than its stream has.

    Returns
    -------
    pandas.DataFrame
        Index codec; columns bytes, psnr (dB, infinite where all pixels came back), exact (share
        of the slices), images. Means over slices of the held-out head.
    """
    tables = _tables("cae-brotli-mri")
    own = tables["variants"].query("source == @HEAD and side == 'test'")
    rest = tables["equal_bytes"].query("source == @HEAD")
    both = pd.concat([own, rest]).set_index("codec")
    both["psnr"] = both["psnr"].where(both["mse"] > 0, np.inf)
    return both[["bytes", "psnr", "exact", "images"]]


def breasts() -> pd.DataFrame:
    """Sixteen numbers a film, and what others make of the same bytes.

    Returns
    -------
    pandas.DataFrame
        Index codec ("AE, training films", "AE, held-out films", then the standards); columns
        psnr (dB, mean over films), films. The standards have held-out films.
    """
    tables = _tables("ae-vae-cbis-ddsm")
    quality = tables["quality"].query("codec == 'AE' and latent == 'float32' and measure == 'psnr'")
    own = quality.assign(
        codec=quality["side"].map({"train": "AE, training films", "test": "AE, held-out films"})
    )
    rest = tables["equal"].query("budget == 'AE' and measure == 'psnr'")
    both = pd.concat([own, rest]).rename(columns={"mean": "psnr", "images": "films"})
    return both.set_index("codec")[["psnr", "films"]]


def films() -> pd.Series:
    """Rates of lossless codecs on the paper's kind of chest films.

    Returns
    -------
    pandas.Series
        Bits per pixel by codec, means over films: "ae-delta" (the best network, coder and latent
        that are lossless) and the standards.
    """
    tables = _tables("lossless-delta-chest-xray")
    streams = tables["streams"].query("source == @FILMS and measure == 'bpp' and delta == 'exact'")
    standards = tables["standards"].query("source == @FILMS and measure == 'bpp'")
    best = pd.Series({"ae-delta": streams["mean"].min()})
    return pd.concat([best, standards.set_index("codec")["mean"]])


def lesions() -> pd.DataFrame:
    """Simulated lesions that were seen in the films and not in what was drawn from a quarter.

    Returns
    -------
    pandas.DataFrame
        Index (codec, kind of lesion); columns lost and seen (numbers of lesions) and erased
        (share of those seen).
    """
    rates = _tables("ldm-mammography")["rates"].query("factor == @QUARTER")
    rates = rates.assign(lost=(rates["erased"] * rates["seen"]).round().astype(int))
    return rates.set_index(["codec", "kind"])[["lost", "seen", "erased"]]


def mammograms() -> pd.Series:
    """What is left of films in the bytes of those reduced to a quarter of their size.

    Returns
    -------
    pandas.Series
        PSNR in dB by codec, means over films: the enlargers, and the standards that were given
        the same bytes.
    """
    quality = _tables("ldm-mammography")["quality"]
    quality = quality.query("factor == @QUARTER and measure == 'psnr'")
    return quality.set_index("codec")["mean"]


def learned_lossless() -> pd.Series:
    """Bytes of the learned lossless codec in per cent of the best JPEG XL's, by set of images."""
    shares = _tables("beyond-the-papers")["shares"]
    sums = shares.groupby("set", sort=False)[["learned", "jpegxl"]].sum()
    return 100 * sums["learned"] / sums["jpegxl"]


def learned_lossy() -> pd.DataFrame:
    """BD-rates in PSNR against JPEG 2000 and AVIF.

    Returns
    -------
    pandas.DataFrame
        Index (set, codec); columns jpeg2000 and avif: bytes at equal PSNR, in per cent more (or,
        negative, less) than that codec's, mean over images.
    """
    deltas = _tables("beyond-the-papers-lossy", "beyond-the-papers --codec lossy")["deltas"]
    return deltas.groupby(["set", "codec"], sort=False)[["jpeg2000", "avif"]].mean()


def out_of_reach() -> pd.DataFrame:
    """Sets for which the learned lossy codec's coarsest level comes too late for a BD-rate.

    Returns
    -------
    pandas.DataFrame
        Index set; columns hyper, the least mean rate of that codec, and avif, AVIF's at the same
        PSNR, both in bits a pixel.
    """
    tables = _tables("beyond-the-papers-lossy", "beyond-the-papers --codec lossy")
    means = tables["deltas"].query("codec == 'hyper'").groupby("set", sort=False)["jpeg2000"].mean()
    lines = tables["curves"].sort_values("psnr").groupby(["set", "codec"])
    found = {}
    for name in means.index[means.isna()]:
        ours, theirs = (lines.get_group((name, codec)) for codec in ("hyper", "avif"))
        first = ours.iloc[0]
        there = np.interp(first["psnr"], theirs["psnr"], theirs["bpp"])
        found[name] = {"hyper": float(first["bpp"]), "avif": float(there)}
    return pd.DataFrame.from_dict(found, orient="index", columns=["hyper", "avif"])


def seconds() -> pd.DataFrame:
    """How long the learned lossless codec takes.

    Returns
    -------
    pandas.DataFrame
        Index set; columns encode_s and decode_s, mean over images.
    """
    shares = _tables("beyond-the-papers")["shares"]
    return shares.groupby("set", sort=False)[["encode_s", "decode_s"]].mean()


def _tables(name: str, run: str = "") -> dict[str, pd.DataFrame]:
    """Tables of a reference run, read without the networks behind it."""
    command = f"python -m helpers reference {run or name}"
    return results.tables(results.read(results.FOLDER / f"{name}.json", command))
