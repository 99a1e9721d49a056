"""Images of the scoreboard: of three modalities, none of which any network has learnt from."""

from dataclasses import dataclass

from helpers.data import ImageSet, load, splits
from helpers.data.patches import HELD_OUT
from helpers.experiments.cae_mri.data import HELD_OUT as HEADS
from helpers.experiments.lossless_delta.data import TEST

CHEST, BRAIN, BREAST = MODALITIES = "chest film", "brain MRI", "mammogram"
PACK = {"source": "open-pack"}
ALL = 12  # images of a modality in the reference run
SIDE = 256  # rows of larger ones there, in pixels: MS-SSIM takes longer than the codecs


@dataclass(frozen=True)
class Part:
    """Images of a modality.

    Parameters
    ----------
    modality : str
        One of `MODALITIES`.
    images : ImageSet
        Of 8 or 16 bits.
    """

    modality: str
    images: ImageSet

    @property
    def bits(self) -> int:
        """Bits of the words that pixels are kept in, 8 or 16; fewer of them may be used."""
        return 8 * self.images.images[0].dtype.itemsize


def open_pack(films: int, brains: int, side: int, deep: int) -> list[Part]:
    """Images of the open pack, for a page.

    Parameters
    ----------
    films : int
        Chest films, and as many mammograms, at most.
    brains : int
        Slices of the held-out head, at most.
    side : int
        Rows of a mammogram, in pixels.
    deep : int
        Images of 16 bits of the brain and of the breast, at most.

    Returns
    -------
    list of Part
    """
    _, chest = splits.by_name(load("chest-xray", **PACK), TEST)
    found = [Part(CHEST, chest.spread(films))]
    for depth, brain_count, breast_count in ((8, brains, films), (16, deep, deep)):
        heads = _heads("open-pack", depth)
        breasts = _breasts(side, depth)
        found += [
            Part(BRAIN, heads.spread(brain_count)),
            Part(BREAST, breasts.spread(breast_count)),
        ]
    return found


def held_out(limit: int | None = None) -> list[Part]:
    """Images of all sources at hand, for the reference run.

    Parameters
    ----------
    limit : int, optional
        About so many images of a modality, instead of `ALL`.

    Returns
    -------
    list of Part

    Raises
    ------
    DataError
        If a source is not at hand.
    """
    from helpers.experiments.beyond import pictures  # imports PyTorch, which a page may not need
    from helpers.experiments.beyond.reference import scaled

    kermany, nih, heads, lesions, tumours, breasts, _ = (
        album.images for album in pictures.albums("test")
    )
    deep = {BRAIN: [_heads(source, 16) for source in ("open-pack", "open-ms")]}
    deep |= {BREAST: [_breasts(512, 16)]}
    plain = {CHEST: [kermany, nih], BRAIN: [heads, lesions, tumours], BREAST: [breasts]}
    large = (nih, tumours)
    count, found = limit or ALL, []
    for sets, wanted in ((plain, count), (deep, -(-count // 2))):
        for modality, sources in sets.items():
            for images in sources:
                some = images.spread(-(-wanted // len(sources)))
                small = any(images is one for one in large)
                found.append(Part(modality, scaled(some, SIDE) if small else some))
    return found


def _heads(source: str, depth: int) -> ImageSet:
    slices = load("brain-mri", source=source, depth=depth, slices=64)
    return splits.hold_out(slices, HEADS[source])[1]


def _breasts(side: int, depth: int) -> ImageSet:
    return splits.hold_out(load("mammography", side, depth=depth, **PACK), HELD_OUT)[1]
