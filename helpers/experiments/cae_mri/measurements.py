"""The experiment of Baiee and Al-Assadi (2024): auto-encoder and Brotli on brain MRI.

The chapter *A convolutional auto-encoder and Brotli* and the command
``python -m helpers reference cae-brotli-mri`` both call these functions, so that the page
and the reference run measure the same things in the same way.
"""

from collections.abc import Iterable

import pandas as pd

from helpers import codecs, measure
from helpers.data import ImageSet
from helpers.experiments.cae_mri.data import SIZE

PAPER_BPP = 8 * 71_000 / SIZE**2  # Table 4: 71 kB for a 512 x 512 slice
STANDARDS = ("jpeg", "jpeg2000", "jpegxl", "avif", "wavelet", "spiht")
TABLE_5 = ("jpeg", "jpeg2000", "wavelet", "spiht")

VARIANTS = {
    "CAE": {"latent": "float32", "coder": "none"},
    "CAE + Brotli": {"latent": "uint8", "coder": "brotli"},
}
AUDIT_VARIANTS = {
    "float32 latent": {"latent": "float32", "coder": "none"},
    "float32 latent + Brotli": {"latent": "float32", "coder": "brotli"},
    "8-bit latent": {"latent": "uint8", "coder": "none"},
    "8-bit latent + Brotli": {"latent": "uint8", "coder": "brotli"},
    "8-bit latent + range coder": {"latent": "uint8", "coder": "range"},
    "8-bit a channel + Brotli": {"latent": "uint8", "coder": "brotli", "scale": "channel"},
    "8-bit a channel + range coder": {"latent": "uint8", "coder": "range", "scale": "channel"},
}


def variants(configs: dict[str, dict], model: str = "cae-mri") -> dict[str, codecs.base.ImageCodec]:
    """Auto-encoder codecs by the name a table gives them."""
    return {name: codecs.get("cae", model=model, **config) for name, config in configs.items()}


def measure_variants(
    images: ImageSet, configs: dict[str, dict], metrics: Iterable[str], model: str = "cae-mri"
) -> pd.DataFrame:
    """Evaluate auto-encoder codecs, one row per image and codec.

    Parameters
    ----------
    images : ImageSet
    configs : dict
        `VARIANTS`, `AUDIT_VARIANTS` or a part of them.
    metrics : iterable of str
        As `helpers.measure.evaluate` takes them.
    model : str
        Name of the weights.
    """
    return pd.concat(
        [
            measure.evaluate(codec, images, name=name, metrics=metrics)
            for name, codec in variants(configs, model).items()
        ],
        ignore_index=True,
    )


def measure_at_equal_bytes(
    images: ImageSet, budgets: pd.Series, families: Iterable[str], metrics: Iterable[str]
) -> pd.DataFrame:
    """Give every family, image by image, as many bytes as another codec needed.

    Parameters
    ----------
    images : ImageSet
    budgets : pandas.Series
        Bits per pixel by image id.
    families : iterable of str
    metrics : iterable of str
    """
    rows = []
    for family in families:
        for index, image_id in enumerate(images.ids):
            codec = codecs.at_rate(family, budgets[image_id])
            one = images.take([index])
            rows.append(measure.evaluate(codec, one, name=family, metrics=metrics))
    return pd.concat(rows, ignore_index=True)


def measure_curves(
    images: ImageSet, rates: Iterable[float], families: Iterable[str] = STANDARDS
) -> pd.DataFrame:
    """Rate-distortion points of the standard codecs.

    Parameters
    ----------
    images : ImageSet
    rates : iterable of float
        Bits per pixel; each stream is the largest that fits.
    families : iterable of str

    Returns
    -------
    pandas.DataFrame
        The table of `helpers.measure.evaluate` with a column ``target_bpp``.
    """
    return pd.concat(
        [
            measure.evaluate(
                codecs.at_rate(family, rate), images, name=family, metrics=("psnr",)
            ).assign(target_bpp=rate)
            for family in families
            for rate in rates
        ],
        ignore_index=True,
    )
