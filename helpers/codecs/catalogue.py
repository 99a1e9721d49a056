"""Every codec of the book by name: what it is, what it takes, how to build it."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numcodecs.abc import Codec
from numcodecs.registry import register_codec

from helpers.codecs import classical
from helpers.codecs.ae import LatentCodec
from helpers.codecs.cae import CaeCodec
from helpers.codecs.delta import DeltaCodec
from helpers.codecs.hific import HificCodec
from helpers.codecs.hyperprior.codec import HyperCodec
from helpers.codecs.learned import LearnedCodec
from helpers.codecs.shrink import ShrinkCodec
from helpers.codecs.spiht import SpihtCodec
from helpers.codecs.wavelet import WaveletCodec


@dataclass(frozen=True)
class Entry:
    """What the catalogue says about a codec.

    Parameters
    ----------
    name : str
        What `get` takes.
    label : str
        How figures and tables call it.
    lossless, lossy : bool
        Which of the two it can be; some can be both, and are lossless by default.
    dtypes : tuple of str
        Pixel types it holds (lossless codecs: exactly).
    text : str
        One line on how it works.
    build : callable
        Makes the codec from options.
    """

    name: str
    label: str
    lossless: bool
    lossy: bool
    dtypes: tuple[str, ...]
    text: str
    build: Callable[..., Codec]


_8, _16, _S = ("uint8",), ("uint8", "uint16"), ("uint8", "uint16", "int16")


def _cae_float(**options) -> Codec:
    return CaeCodec(**{"latent": "float32", "coder": "none", **options})


def _ae(**options) -> Codec:
    return LatentCodec(**{"model": "ae-mammo", **options})


def _vae(**options) -> Codec:
    return LatentCodec(**{"model": "vae-mammo", **options})


def _similar(**options) -> Codec:
    return HyperCodec(**{"model": "hyper-msssim", **options})


CATALOGUE = {
    entry.name: entry
    for entry in (
        Entry("png", "PNG", True, False, _16, "row filters and Deflate", classical.Png),
        Entry("jpeg", "JPEG", False, True, _8, "8x8 DCT, Huffman codes", classical.Jpeg),
        Entry(
            *("jpeg2000", "JPEG 2000", True, True, _S),
            *("wavelet, bit planes, arithmetic coder", classical.Jpeg2000),
        ),
        Entry(
            *("htj2k", "HTJ2K", True, False, _S),
            *("JPEG 2000 with a faster block coder", classical.Htj2k),
        ),
        Entry(
            *("jpegls", "JPEG-LS", True, True, _16),
            *("prediction and Golomb codes; lossy with a bounded error", classical.JpegLs),
        ),
        Entry(
            *("jpegxl", "JPEG XL", True, True, _16),
            *("adaptive trees (lossless), variable DCT (lossy)", classical.JpegXl),
        ),
        Entry(
            "avif", "AVIF", True, True, _8, "intra coding of the video codec AV1", classical.Avif
        ),
        Entry(
            *("webp", "WebP", True, False, _8),
            *("prediction and LZ77 of colour pixels", classical.WebP),
        ),
        Entry(
            *("wavelet", "Coiflet wavelet", False, True, _S),
            *("Coiflet, dead-zone quantiser, context-adaptive range coder", WaveletCodec),
        ),
        Entry(
            *("spiht", "SPIHT", False, True, _S),
            *("9/7 wavelet, zerotrees of bit planes; any prefix decodes", SpihtCodec),
        ),
        Entry(
            *("cae", "CAE", False, True, _S),
            *("convolutional auto-encoder, float latent", _cae_float),
        ),
        Entry(
            *("cae-brotli", "CAE + Brotli", False, True, _S),
            *("convolutional auto-encoder, 8-bit latent, Brotli", CaeCodec),
        ),
        Entry(
            *("ae", "AE, 16 numbers", False, True, _S),
            *("auto-encoder, its latent and nothing else", _ae),
        ),
        Entry(
            *("vae", "VAE, 16 numbers", False, True, _S),
            *("variational auto-encoder, the means of its latent", _vae),
        ),
        Entry(
            *("shrink", "smaller PNG, enlarged", False, True, _16),
            *("half or a quarter of the size as PNG; a filter or a network enlarges", ShrinkCodec),
        ),
        Entry(
            *("ae-delta", "AE + delta", True, False, _8),
            *("auto-encoder in whole numbers, delta, integer DCT", DeltaCodec),
        ),
        Entry(
            *("learned", "learned, lossless", True, False, _S),
            *("context network, local least squares, mixed decisions", LearnedCodec),
        ),
        Entry(
            *("hyper", "learned, lossy", False, True, _S),
            *("corrected cosine transform, hyperprior, hierarchical context", HyperCodec),
        ),
        Entry(
            *("hyper-msssim", "learned, lossy, for MS-SSIM", False, True, _S),
            *("the same, trained for structural similarity", _similar),
        ),
        Entry(
            *("hific", "HiFiC counterpart", False, True, _8),
            *("learned, lossy, at one low rate, its decoder trained against a critic", HificCodec),
        ),
    )
}
# What a stream calls its codec where that is the name of no entry: its model says the rest.
_STREAMS = {LatentCodec.codec_id: "ae"}

for _codec in (
    *(
        SpihtCodec,
        WaveletCodec,
        CaeCodec,
        LatentCodec,
        DeltaCodec,
        ShrinkCodec,
        LearnedCodec,
        HyperCodec,
        HificCodec,
        classical.Png,
        classical.Jpeg,
        classical.Jpeg2000,
    ),
    *(classical.Htj2k, classical.JpegLs, classical.JpegXl, classical.Avif, classical.WebP),
):
    register_codec(_codec)


def names(lossless: bool | None = None) -> list[str]:
    """Names of the codecs.

    Parameters
    ----------
    lossless : bool, optional
        True for those that can be lossless, False for those that can be lossy.

    Returns
    -------
    list of str
    """
    return [
        name
        for name, entry in CATALOGUE.items()
        if lossless is None or (entry.lossless if lossless else entry.lossy)
    ]


def fitting(dtype: np.dtype) -> list[str]:
    """Names of the codecs that hold a pixel type.

    Parameters
    ----------
    dtype : numpy.dtype

    Returns
    -------
    list of str
    """
    return [name for name, entry in CATALOGUE.items() if np.dtype(dtype).name in entry.dtypes]


def find(name: str) -> Entry:
    """Entry of a codec.

    Parameters
    ----------
    name : str
        One of `names`, or what a stream calls its codec.

    Raises
    ------
    ValueError
        If there is no such codec.
    """
    name = _STREAMS.get(name, name)
    if name not in CATALOGUE:
        raise ValueError(f"There is no codec '{name}'; choose one of {', '.join(CATALOGUE)}.")
    return CATALOGUE[name]


def get(name: str, **options) -> Codec:
    """Build a codec.

    Parameters
    ----------
    name : str
        One of `names`.
    **options
        What its class takes, for example ``step=4`` for ``"wavelet"``.

    Returns
    -------
    numcodecs.abc.Codec
        With ``encode(array) -> bytes`` and ``decode(bytes) -> array``.

    Raises
    ------
    ValueError
        If there is no such codec, or it has no such option or value.

    Examples
    --------
    >>> codec = get("png")
    >>> codec.decode(codec.encode(np.eye(3, dtype=np.uint8))).tolist()
    [[1, 0, 0], [0, 1, 0], [0, 0, 1]]
    """
    try:
        return find(name).build(**options)
    except TypeError as error:
        raise ValueError(f"The codec '{name}' does not take these options ({error}).") from error
