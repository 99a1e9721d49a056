"""Grey levels that an image uses: numbered without gaps where it leaves most of them out.

A scanner with fewer steps than its file format, or a picture that was stretched, leaves gaps in the
histogram. A predictor does not see them and pays for levels that never come.
"""

import brotli
import numpy as np

SPARSE = 2  # levels are numbered where fewer than one in so many is used
_LIMIT = 2**20  # bytes of a list of gaps: more than 65,536 levels can need


def pack(values: np.ndarray) -> tuple[np.ndarray, bytes]:
    """Number the levels of an image, if it leaves most of them out.

    Parameters
    ----------
    values : (H, W) uint16 array
        Its smallest is 0.

    Returns
    -------
    values : (H, W) uint16 array
        The numbers, or the levels as they were.
    gaps : bytes
        Differences of the levels in use, for `unpack`; none where nothing changed.
    """
    used = np.flatnonzero(np.bincount(values.ravel()))
    if len(used) * SPARSE > used[-1] + 1:
        return values, b""
    numbers = np.zeros(used[-1] + 1, np.uint16)
    numbers[used] = np.arange(len(used))
    return numbers[values], brotli.compress(np.diff(used).astype("<u2").tobytes())


def unpack(values: np.ndarray, gaps: bytes) -> np.ndarray:
    """Levels of the numbers that `pack` gave.

    Parameters
    ----------
    values : (H, W) uint16 array
    gaps : bytes

    Returns
    -------
    (H, W) int64 array

    Raises
    ------
    ValueError
        If there are too few levels for the numbers, or the list of gaps is none.
    """
    reader = brotli.Decompressor()
    listed = reader.process(gaps, output_buffer_limit=_LIMIT)
    if not reader.is_finished() or len(listed) % 2:
        raise ValueError("the list of grey levels is damaged")
    levels = np.cumsum([0, *np.frombuffer(listed, "<u2").tolist()])
    if int(values.max()) >= len(levels):
        raise ValueError("there are more pixel values than grey levels")
    return levels[values]
