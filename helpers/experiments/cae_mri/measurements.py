"""What the chapter and the reference run measure, so that both do it in the same way."""

from collections.abc import Mapping, Sequence

import pandas as pd

from helpers import codecs, measure
from helpers.data import ImageSet
from helpers.progress import progress

METRICS = ("psnr", "ssim", "ms_ssim", "fsim")

VARIANTS = {
    "CAE": {"latent": "float32", "coder": "none"},
    "CAE + Brotli": {"latent": "uint8", "coder": "brotli"},
}
STEPS = {
    "float32": {"latent": "float32", "coder": "none"},
    "float32, Brotli": {"latent": "float32", "coder": "brotli"},
    "8 bits": {"latent": "uint8", "coder": "none"},
    "8 bits, Brotli": {"latent": "uint8", "coder": "brotli"},
    "8 bits, range coder": {"latent": "uint8", "coder": "range"},
    "8 bits a channel, Brotli": {"latent": "uint8", "coder": "brotli", "scale": "channel"},
    "8 bits a channel, range coder": {"latent": "uint8", "coder": "range", "scale": "channel"},
}


def variants(
    images: ImageSet,
    configs: Mapping[str, dict],
    metrics: Sequence[str] = ("psnr",),
    model: str = "cae-mri",
) -> pd.DataFrame:
    """Evaluate configurations of the auto-encoder codec.

    Parameters
    ----------
    images : ImageSet
    configs : mapping of name to options of ``codecs.get("cae")``
        `VARIANTS` (Table 4), `STEPS` (what each stage saves) or a part of them.
    metrics : sequence of str
        As `helpers.measure.evaluate` takes them.
    model : str
        Name of the weights.

    Returns
    -------
    pandas.DataFrame
        The table of `helpers.measure.evaluate`.
    """
    parts = [
        measure.evaluate(
            codecs.get("cae", model=model, **config), images, name=name, metrics=metrics
        )
        for name, config in progress(configs.items(), "variant", len(configs))
    ]
    return pd.concat(parts, ignore_index=True)
