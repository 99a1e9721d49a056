"""One interface over everything that enlarges images: filters, a network, diffusion models.

The chapter *Latent diffusion for mammograms* asks `find` for the paper's model,
``stabilityai/sd-x2-latent-upscaler``, and gets the book's own where that one is not at hand.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from helpers import weights
from helpers.errors import DataError
from helpers.upscalers import hub, own
from helpers.upscalers.tiles import Doubler, doubled, from_noise

PAPERS = hub.REPOSITORY
OWN = "latent-diffusion"
GENERAL = "latent-diffusion-photographs"
FILTERS = ("bicubic", "lanczos")
LEAST = 8


@dataclass(frozen=True)
class Upscaler:
    """Something that enlarges images.

    Parameters
    ----------
    name : str
        One of `names`.
    why : str
        A sentence for the page: what runs, and why this and nothing else.
    start : callable
        ``start(sides, seed)`` returns what doubles the tiles of an image of these sides, all
        of them from one field of noise.
    grid : int
        Tiles begin at its multiples, in pixels of the small image.
    """

    name: str
    why: str
    start: Callable[[tuple[int, int], int], Doubler]
    grid: int = 1

    def __call__(
        self,
        image: np.ndarray,
        factor: int = 2,
        *,
        bits: int | None = None,
        tile: int = 192,
        overlap: int = 16,
        seed: int = 0,
    ) -> np.ndarray:
        """Enlarge an image; four times is twice two times, with no rounding in between.

        Parameters
        ----------
        image : (H, W) uint8 or uint16 array
            Sides of 8 pixels or more.
        factor : {2, 4}
        bits : int, optional
            Bit depth whose largest value is white, for example 12; that of the dtype by
            default.
        tile, overlap : int
            Larger images are enlarged in tiles of this side, which share at least `overlap`
            pixels with their neighbours and are blended there; in pixels of the image that
            is doubled. The outer quarter of an overlap, where a tile lacks its
            surroundings, is not used.
        seed : int
            Of the noise that diffusion models begin with.

        Returns
        -------
        (factor H, factor W) array of the same dtype
            Equal calls on one machine give equal pixels.

        Raises
        ------
        ValueError
            If image, factor, bit depth or tiles are not as above.
        """
        peak = _peak(image, bits)
        if factor not in (2, 4):
            raise ValueError(f"Images are enlarged 2 or 4 times, not {factor} times.")
        unit = image.astype(np.float32) / np.float32(peak)
        for _ in range(factor // 2):
            double = self.start(unit.shape, seed)
            unit = doubled(unit, double, tile, overlap, self.grid).clip(0, 1)
        return np.rint(unit * np.float32(peak)).astype(image.dtype)


def names() -> tuple[str, ...]:
    """Every upscaler's name, whether it is at hand or not."""
    return (*FILTERS, "superres", OWN, GENERAL, PAPERS)


def get(name: str, download: bool = True) -> Upscaler:
    """One upscaler by name. Networks are read from disk: keep what you get.

    Parameters
    ----------
    name : str
        One of `names`.
    download : bool
        Whether the paper's model may be fetched (gigabytes, once) if it is reachable.

    Raises
    ------
    DataError
        If it is not at hand; says why.
    ValueError
        If there is no such upscaler.
    """
    if name in FILTERS:
        return _filter(name)
    if name == "superres":
        return _superres()
    if name == OWN:
        return _own("it was asked for by name")
    if name == GENERAL:
        return _own("it was asked for as it was before it saw mammograms", GENERAL, own.BEFORE)
    if name == PAPERS:
        found = _papers(download)
        if isinstance(found, str):
            raise DataError(f"{found}; take another upscaler.")
        return found
    raise ValueError(f"There is no upscaler '{name}'; there are {', '.join(names())}.")


def find(download: bool = True) -> Upscaler:
    """Return the paper's upscaler where it is at hand, else the book's own.

    Parameters
    ----------
    download : bool
        See `get`. Without it nothing but this machine is asked, and with it the hub has
        five seconds to answer.

    Raises
    ------
    DataError
        If neither is at hand, or the variable ``MEDCODEC_UPSCALER`` names no pipeline.
    """
    found = _papers(download)
    return _own(f"the paper's model {found}") if isinstance(found, str) else found


def _peak(image: np.ndarray, bits: int | None) -> int:
    """Value that stands for white."""
    if image.dtype not in (np.uint8, np.uint16) or image.ndim != 2 or min(image.shape) < LEAST:
        raise ValueError(
            f"An upscaler takes one grey image, uint8 or uint16, of {LEAST} x {LEAST} pixels or "
            f"more, not {image.dtype} of shape {image.shape}."
        )
    most = 8 * image.itemsize
    bits = most if bits is None else bits
    if not 1 <= bits <= most or image.max() >= 2**bits:
        raise ValueError(
            f"Values up to {image.max()} in {image.dtype} are not those of {bits} bits; give the "
            "bit depth that they have."
        )
    return 2**bits - 1


def _filter(name: str) -> Upscaler:
    from PIL import Image

    kind = Image.Resampling[name.upper()]

    def double(tile: np.ndarray, *_) -> np.ndarray:
        height, width = tile.shape
        return np.asarray(Image.fromarray(tile).resize((2 * width, 2 * height), kind))

    why = f"The images are enlarged by a {name} filter, without a network."
    return Upscaler(name, why, lambda *_: double)


def _superres() -> Upscaler:
    import torch

    from helpers.models.superres import SuperResolution

    card = weights.card("superres")
    network = SuperResolution(card["width"], card["blocks"]).eval()
    own.fill(network, "superres")
    device = "cuda" if torch.cuda.is_available() else "cpu"
    network.to(device)

    @torch.inference_mode()
    def double(tile: np.ndarray, *_) -> np.ndarray:
        return network(torch.from_numpy(tile)[None, None].to(device))[0, 0].cpu().numpy()

    why = "The images are enlarged by a small network that was trained for the least error."
    return Upscaler("superres", why, lambda *_: double)


def _own(reason: str, name: str = OWN, unet: str = own.UNET) -> Upscaler:
    try:
        pipeline = own.load(unet)
    except DataError as error:
        raise DataError(f"There is no latent-diffusion upscaler: {reason}. {error}") from error

    def draw(tile: np.ndarray, noise, _: int) -> np.ndarray:
        return pipeline(tile[None], noise=noise)[0]

    start = from_noise(pipeline.noise, draw, pipeline.grid, pipeline.cell)
    why = f"The images are enlarged by the book's own latent-diffusion model: {reason}."
    return Upscaler(name, why, start, pipeline.grid)


def _papers(download: bool) -> Upscaler | str:
    """Return the paper's upscaler, or the reason why it is not at hand."""
    pipeline, sentence = hub.load(download)
    if pipeline is None:
        return f"{PAPERS} is not at hand ({sentence})"

    def draw(tile: np.ndarray, noise, seed: int) -> np.ndarray:
        return hub.double(pipeline, tile, noise, seed)

    start = from_noise(hub.noise, draw, hub.GRID, hub.CELL)
    why = f"The images are enlarged by the paper's model, {PAPERS}; {sentence}."
    return Upscaler(PAPERS, why, start, hub.GRID)
