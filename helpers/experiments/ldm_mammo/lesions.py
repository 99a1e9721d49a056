"""Simulated masses and clusters of micro-calcifications, put into real tissue.

Where a lesion is inserted, its place, shape and contrast are known exactly: the design
"signal known exactly" of task-based image quality (Barrett & Myers 2004, *Foundations of Image
Science*, chapters 13 and 14). Burgess, Jacobson & Judy 2001 ("Human observer detection
experiments with mammograms and power-law noise", *Medical Physics* 28) added tumours of up to
16 mm to digitised normal films, as "hybrid images"; Castella et al. 2009 (*JOSA A* 26) did so
with simulated masses, Reiser & Nishikawa 2006 (*Medical Physics* 33) with simulated
micro-calcifications. The shapes here are our own and simpler than theirs; no radiologist has
judged them.

Grey levels of a scanned film fall with its optical density, so what absorbs adds to them: a
lesion is a pattern that is added, not one that replaces the tissue.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

Box = tuple[slice, slice]  # rows and columns
PRESENT, ABSENT = "LESION", "NONE"  # labels of images with and without one
MASS, SPICULATED, CLUSTER = KINDS = ("MASS", "SPICULATED", "CLUSTER")
SPICULES = 1.6  # how far they reach, in radii of the mass
SPECKS = (5, 15)  # in a cluster, at least and at most
SPECK_MM = (0.2, 0.6)  # diameters
_DETAIL = 48  # samples along a mass's radius, at least ...
_FINEST = 8  # ... and along a pixel for specks, which may be smaller than it
_SPICULE_WIDTH = 0.1  # half of it, in radii of the mass
_BORDER = {2: 0.10, 3: 0.08, 5: 0.05}  # waves around a mass's border: number, largest height


@dataclass(frozen=True)
class Lesion:
    """One simulated lesion and its place in an image.

    Parameters
    ----------
    kind : {"MASS", "SPICULATED", "CLUSTER"}
        A mass with an irregular border, one with spicules besides, or a cluster of
        micro-calcifications.
    row, column : float
        Its centre in pixels; a whole number is the centre of a pixel.
    radius : float
        In pixels: of the mass without its spicules, or of the disc that holds the cluster.
    contrast : float
        Of its brightest point, as a share of the local tissue's grey level; 0 keeps a place
        and a shape, and adds nothing.
    seed : int
        Of its shape.

    Raises
    ------
    ValueError
        If the kind is another one, the radius is not positive, or a number is not finite.
    """

    kind: str
    row: float
    column: float
    radius: float
    contrast: float
    seed: int

    def __post_init__(self):
        if self.kind not in KINDS:
            raise ValueError(f"A lesion is one of {', '.join(KINDS)}, not {self.kind!r}.")
        numbers = (self.row, self.column, self.radius, self.contrast)
        if not all(map(math.isfinite, numbers)) or self.radius <= 0:
            raise ValueError(
                f"A lesion needs finite numbers and a positive radius, not {numbers} as row, "
                "column, radius and contrast."
            )

    @property
    def reach(self) -> float:
        """Distance from the centre, in pixels, that no changed pixel's centre exceeds."""
        return self.radius * (SPICULES if self.kind == SPICULATED else 1) + 1

    def box(self, shape: tuple[int, int]) -> Box:
        """Rows and columns, of an image of a shape, that lie within the lesion's reach."""
        return tuple(
            slice(
                min(max(math.ceil(place - self.reach), 0), side),
                min(max(math.floor(place + self.reach) + 1, 0), side),
            )
            for place, side in zip((self.row, self.column), shape, strict=True)
        )

    def scaled(self, factor: float) -> "Lesion":
        """The lesion as it lies in the image enlarged by a factor.

        Parameters
        ----------
        factor : float
            Below 1 where the image shrinks; its ``pixel_mm`` must be divided by it.
        """
        row, column = ((place + 0.5) * factor - 0.5 for place in (self.row, self.column))
        return replace(self, row=row, column=column, radius=self.radius * factor)


def profile(lesion: Lesion, side: int, pixel_mm: float) -> np.ndarray:
    """Shape of a lesion in an image, without its contrast.

    Parameters
    ----------
    lesion : Lesion
    side : int
        Of the square image, in pixels.
    pixel_mm : float
        Side of a pixel in mm, above 0: micro-calcifications have their size in mm.

    Returns
    -------
    (side, side) float64 in [0, 1]
        0 beyond the lesion's reach; what lies outside the image is cut off. A pixel holds the
        mean over its area, so that a speck smaller than a pixel is fainter than 1.

    Raises
    ------
    ValueError
        If the side or the size of a pixel is not positive.
    """
    if side < 1 or not pixel_mm > 0:
        raise ValueError(f"An image of side {side} and pixels of {pixel_mm} mm cannot be drawn.")
    whole = np.zeros((side, side))
    part = lesion.box(whole.shape)
    whole[part] = _drawn(lesion, *part, pixel_mm)
    return whole


def insert(patch: np.ndarray, lesion: Lesion, pixel_mm: float) -> np.ndarray:
    """Add a lesion to tissue.

    Parameters
    ----------
    patch : (S, S) uint8 or uint16
    lesion : Lesion
    pixel_mm : float

    Returns
    -------
    (S, S) of the same dtype
        A copy; no pixel beyond the lesion's reach differs. `template_response` at the lesion
        has grown by its contrast, up to rounding.

    Raises
    ------
    ValueError
        If the patch has another shape or dtype, the lesion exceeds it, or the sum exceeds
        the dtype's range: nothing is clipped.
    """
    if patch.dtype not in (np.uint8, np.uint16):
        raise ValueError(f"Lesions are put into uint8 or uint16 tissue, not into {patch.dtype}.")
    part, shape = _part(patch, lesion, pixel_mm)
    _, level = _fit(patch[part].astype(np.float64), shape)
    changed = np.rint(patch[part] + lesion.contrast * level * shape)
    limit = np.iinfo(patch.dtype).max
    if changed.min() < 0 or changed.max() > limit:
        raise ValueError(
            f"The lesion would need grey levels from {changed.min():.0f} to {changed.max():.0f} "
            f"where {patch.dtype} ends at {limit}; lower its contrast or move it."
        )
    result = patch.copy()
    result[part] = changed.astype(patch.dtype)
    return result


def template_response(image: np.ndarray, lesion: Lesion, pixel_mm: float) -> float:
    """Contrast of a lesion as a linear observer estimates it who knows its place and shape.

    The estimate is the multiple of the profile that explains most of the image's *slopes* at
    the place (least squares), over the level of the tissue there. The spectrum of breast
    tissue falls with about the third power of the frequency (Burgess et al. 2001), so that
    its slopes are nearer to white noise than its grey levels are, and in white noise least
    squares are the ideal observer (the prewhitening matched filter, Barrett & Myers 2004).
    Level and tilt of the background leave the estimate alone.

    Where a lesion was inserted and the image then coded, what its response gained over the
    same tissue without it, divided by the contrast inserted, is the share that survived.
    Where none was, the change by the codec is what it invented.

    Parameters
    ----------
    image : (S, S) array
        Grey levels of any dtype.
    lesion : Lesion
        Its contrast plays no part.
    pixel_mm : float
        Side of a pixel of this image in mm.

    Returns
    -------
    float
        Relative contrast; 0 on average where the tissue shows nothing alike, negative where
        it shows the opposite.

    Raises
    ------
    ValueError
        If the image is not square, or the lesion exceeds it.
    """
    part, shape = _part(image, lesion, pixel_mm)
    amplitude, level = _fit(image[part].astype(np.float64), shape)
    return amplitude / level if level else 0.0


def _part(image: np.ndarray, lesion: Lesion, pixel_mm: float) -> tuple[Box, np.ndarray]:
    """Cut a lesion's surroundings out of an image: where they are and its profile in them."""
    if image.ndim != 2 or image.shape[0] != image.shape[1]:
        raise ValueError(f"Lesions lie in square grey images, not in one of shape {image.shape}.")
    side, size, places = image.shape[0], lesion.reach - 1, (lesion.row, lesion.column)
    if not all(size - 0.5 <= place <= side - 0.5 - size for place in places):
        raise ValueError(
            f"The lesion at {lesion.row:g}, {lesion.column:g} spans {size:.1f} pixels each way and "
            f"so exceeds the image of side {side}; move its centre inward."
        )
    part = lesion.box(image.shape)
    return part, _drawn(lesion, *part, pixel_mm)


def _fit(tissue: np.ndarray, shape: np.ndarray) -> tuple[float, float]:
    """How much of a shape the slopes of the tissue hold, and the tissue's level without it."""
    slopes = [np.diff(shape, axis=axis) for axis in (0, 1)]
    energy = sum(float((slope**2).sum()) for slope in slopes)
    if not energy:
        raise ValueError("The lesion is too small to show in pixels of this size; enlarge it.")
    found = [np.diff(tissue, axis=axis) for axis in (0, 1)]
    amplitude = sum(float((a * b).sum()) for a, b in zip(slopes, found, strict=True)) / energy
    return amplitude, float((tissue - amplitude * shape)[shape > 0].mean())


def _drawn(lesion: Lesion, rows: slice, columns: slice, pixel_mm: float) -> np.ndarray:
    """Draw a lesion's profile into a box of pixels."""
    rng = np.random.default_rng(lesion.seed)
    if lesion.kind == CLUSTER:
        return _cluster(lesion, rows, columns, pixel_mm, rng)
    fine = max(2, math.ceil(_DETAIL / lesion.radius))
    down = _offsets(lesion.row, rows, fine)[:, None] / lesion.radius
    right = _offsets(lesion.column, columns, fine) / lesion.radius
    drawn = _body(down, right, rng)
    if lesion.kind == SPICULATED:
        drawn = np.maximum(drawn, _spicules(down, right, rng))
    return _pixels(drawn, fine)


def _offsets(centre: float, pixels: slice, fine: int) -> np.ndarray:
    """Distances from a centre along one axis, of `fine` samples in each pixel."""
    count = (pixels.stop - pixels.start) * fine
    return pixels.start - 0.5 + (np.arange(count) + 0.5) / fine - centre


def _pixels(samples: np.ndarray, fine: int) -> np.ndarray:
    """Mean of the samples in each pixel."""
    rows, columns = (length // fine for length in samples.shape)
    return samples.reshape(rows, fine, columns, fine).mean(axis=(1, 3))


def _body(down: np.ndarray, right: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Mass of radius 1: bright in the middle, fading out smoothly at a wavy border."""
    angle = np.arctan2(down, right)
    border = np.ones(angle.shape)
    for number, height in _BORDER.items():
        phase = rng.uniform(0, 2 * np.pi)
        border -= height * rng.uniform(0.3, 1) * (1 - np.cos(number * angle + phase))
    return np.clip(1 - (down**2 + right**2) / border**2, 0, 1) ** 1.5


def _spicules(down: np.ndarray, right: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Rays from the middle of a mass of radius 1, fainter and fainter until `SPICULES`."""
    count = int(rng.integers(8, 15))
    directions = 2 * np.pi * (np.arange(count) + rng.uniform(-0.3, 0.3, count)) / count
    drawn = np.zeros(np.broadcast_shapes(down.shape, right.shape))
    for direction, length in zip(directions, rng.uniform(1.2, SPICULES, count), strict=True):
        cosine, sine = math.cos(direction), math.sin(direction)
        along, across = right * cosine + down * sine, down * cosine - right * sine
        ray = np.clip(1 - (across / _SPICULE_WIDTH) ** 2, 0, 1)
        ray *= np.clip(1 - along / length, 0, 1) * (along > 0)
        np.maximum(drawn, 0.6 * ray, out=drawn)
    return np.where(down**2 + right**2 < SPICULES**2, drawn, 0)


def _cluster(
    lesion: Lesion, rows: slice, columns: slice, pixel_mm: float, rng: np.random.Generator
) -> np.ndarray:
    """Round specks, evenly strewn over a disc; each as bright as a ball of it is thick."""
    count = int(rng.integers(SPECKS[0], SPECKS[1] + 1))
    sizes = rng.uniform(*SPECK_MM, count) / 2 / pixel_mm
    heights = rng.uniform(0.5, 1, count)
    outward = np.sqrt(rng.uniform(0, 1, count)) * np.maximum(lesion.radius - sizes, 0)
    turns = rng.uniform(0, 2 * np.pi, count)
    down = _offsets(lesion.row, rows, _FINEST)[:, None] - outward * np.sin(turns)
    right = _offsets(lesion.column, columns, _FINEST)[:, None] - outward * np.cos(turns)
    drawn = np.zeros((len(down), len(right)))
    for size, height, below, beside in zip(sizes, heights, down.T, right.T, strict=True):
        near = np.ix_(np.abs(below) < size, np.abs(beside) < size)
        square = (below[near[0]] ** 2 + beside[near[1]] ** 2) / size**2
        ball = height * np.sqrt(np.clip(1 - square, 0, 1))
        drawn[near] = np.maximum(drawn[near], ball)
    return _pixels(drawn, _FINEST)
