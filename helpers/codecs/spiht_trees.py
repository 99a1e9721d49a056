"""Set partitioning in hierarchical trees: the algorithm of SPIHT, one function both ways.

Wavelet coefficients that matter sit in the same place at every scale, and where a coarse one
is small its *descendants*, the finer ones of the same place, are mostly small too. SPIHT
(Said and Pearlman 1996, section III) turns that into a game of yes-or-no questions about
bit planes, the largest first. Three lists hold the state of the game:

LIP
    insignificant *pixels*: single coefficients still below the threshold.
LIS
    insignificant *sets*: trees not yet opened, named by their root. A set of type A holds
    all descendants of the root, one of type B all but its four children.
LSP
    significant pixels: coefficients whose top bit and sign are known.

For each plane n, threshold 2^n, the *sorting pass* asks about every pixel of the LIP and
every set of the LIS. A significant set is opened: A into its four children and a B, B into
four A. The *refinement pass* then adds bit n to the pixels that were in the LSP before.
Since questions come in order of importance, cutting the stream anywhere leaves a good image.

The questions here are coded under adaptive contexts (how many neighbours, and whether the
parent, are significant), which is the paper's arithmetic-coded variant.
"""

import numpy as np
from numba import njit

from helpers.codecs.rangecoder import DECODING, STOPPED, code_bit, code_fair, new_contexts

# Where each kind of question keeps its contexts: 36 ways a neighbourhood can look.
_PIXEL, _CHILD, _SET_A, _SET_B, _REFINE, _COUNT = 0, 36, 72, 108, 144, 216


def padded_shape(shape: tuple[int, int]) -> tuple[int, int, int]:
    """Levels of the transform of an image, and the grid on which its trees are complete.

    Parameters
    ----------
    shape : (int, int)
        Height and width in pixels, each at least 1.

    Returns
    -------
    levels, rows, columns : int
        0 to 6 levels; rows and columns are multiples of ``2**(levels + 1)``.
    """
    levels = min(max(min(shape).bit_length() - 3, 0), 6)
    unit = 2 ** (levels + 1)
    return levels, *(-(-side // unit) * unit for side in shape)


@njit(cache=True)
def code_planes(coder, data, magnitude, negative, deepest, rows, columns, levels, top):
    """Write or read the bit planes `top` to 0 of the coefficients on the grid.

    Parameters
    ----------
    coder, data
        Registers and bytes of the range coder; its direction is this function's.
    magnitude : (rows * columns,) int32
        Coefficients without sign; filled in when reading, each in the middle of what is known.
    negative : (rows * columns,) uint8
        1 where a coefficient is below zero; filled in when reading.
    deepest : (rows * columns,) int32
        Largest magnitude among the descendants, as `largest_descendants` finds it (writing).
    rows, columns, levels, top : int
    """
    contexts = new_contexts(_COUNT)
    significant = np.zeros(rows * columns, np.uint8)
    low_rows, low_columns = rows >> levels, columns >> levels
    lip = np.empty(max(2 * low_rows * low_columns, 64), np.int32)
    lsp, lis = lip.copy(), lip.copy()
    n_lip, n_lsp, n_lis = 0, 0, 0
    for i in range(low_rows):
        for j in range(low_columns):
            lip[n_lip] = i * columns + j
            n_lip += 1
            if levels and (i & 1 or j & 1):
                lis[n_lis] = 2 * (i * columns + j)  # twice the root, plus 1 for type B
                n_lis += 1

    for plane in range(top, -1, -1):
        known = n_lsp
        # Sorting pass over single pixels.
        kept = 0
        for k in range(n_lip):
            node = lip[k]
            around = _around(significant, node, rows, columns, low_rows, low_columns)
            found = _code_pixel(
                coder, data, contexts, _PIXEL + around, magnitude, negative, node, plane
            )
            if coder[STOPPED]:
                return
            if found:
                significant[node] = 1
                lsp, n_lsp = _append(lsp, n_lsp, node)
            else:
                lip[kept] = node
                kept += 1
        n_lip = kept

        # Sorting pass over sets; those that opening appends are asked in the same pass.
        kept, k = 0, 0
        while k < n_lis:
            entry = lis[k]
            k += 1
            root, is_b = entry >> 1, entry & 1
            child = _first_child(root, columns, low_rows, low_columns)
            row, column = child // columns, child % columns
            around = _around(significant, root, rows, columns, low_rows, low_columns)
            bit = 0
            if not coder[DECODING]:
                largest = deepest[root]
                if is_b:
                    largest = 0
                    for node in (child, child + 1, child + columns, child + columns + 1):
                        largest = max(largest, deepest[node])
                bit = (largest >> plane) != 0
            bit = code_bit(coder, data, contexts, (_SET_B if is_b else _SET_A) + around, bit)
            if coder[STOPPED]:
                return
            if not bit:
                lis[kept] = entry
                kept += 1
            elif is_b:
                for node in (child, child + 1, child + columns, child + columns + 1):
                    lis, n_lis = _append(lis, n_lis, 2 * node)
            else:
                for node in (child, child + 1, child + columns, child + columns + 1):
                    around = _around(significant, node, rows, columns, low_rows, low_columns)
                    found = _code_pixel(
                        coder, data, contexts, _CHILD + around, magnitude, negative, node, plane
                    )
                    if coder[STOPPED]:
                        return
                    if found:
                        significant[node] = 1
                        lsp, n_lsp = _append(lsp, n_lsp, node)
                    else:
                        lip, n_lip = _append(lip, n_lip, node)
                if 2 * row < rows and 2 * column < columns:  # there are grandchildren
                    lis, n_lis = _append(lis, n_lis, entry + 1)
        n_lis = kept

        # Refinement pass.
        for k in range(known):
            node = lsp[k]
            around = _around(significant, node, rows, columns, low_rows, low_columns)
            first = (magnitude[node] >> (plane + 2)) == 0
            bit = (magnitude[node] >> plane) & 1
            bit = code_bit(coder, data, contexts, _REFINE + 36 * first + around, bit)
            if coder[STOPPED]:
                return
            if coder[DECODING]:
                above = (magnitude[node] >> (plane + 1)) << (plane + 1)
                magnitude[node] = above | (bit << plane) | _middle(plane)


@njit(cache=True)
def largest_descendants(magnitude, rows, columns, levels):
    """Largest magnitude below each node of the trees, (rows * columns,) int32."""
    deepest = np.zeros(magnitude.size, np.int32)
    low_rows, low_columns = rows >> levels, columns >> levels
    # Children always come later in raster order, so one sweep backwards meets them first.
    for root in range((rows // 2) * columns - 1, -1, -1):
        row, column = root // columns, root % columns
        if 2 * column >= columns or not levels:
            continue
        if row < low_rows and column < low_columns and not (row & 1 or column & 1):
            continue
        child = _first_child(root, columns, low_rows, low_columns)
        for node in (child, child + 1, child + columns, child + columns + 1):
            deepest[root] = max(deepest[root], magnitude[node], deepest[node])
    return deepest


@njit(cache=True)
def _first_child(root, columns, low_rows, low_columns):
    """Top-left of the four children of a node that has some."""
    row, column = root // columns, root % columns
    if row < low_rows and column < low_columns:
        # Three of each 2 x 2 group in the coarsest corner root the three directions.
        row, column = (
            (row & ~1) + low_rows * (row & 1),
            (column & ~1) + low_columns * (column & 1),
        )
        return row * columns + column
    return 2 * row * columns + 2 * column


@njit(cache=True)
def _around(significant, node, rows, columns, low_rows, low_columns):
    """Number from 0 to 35 for the significant neighbours and parent of a coefficient."""
    row, column = node // columns, node % columns
    up, down, left, right = row > 0, row < rows - 1, column > 0, column < columns - 1
    side, over, corner = 0, 0, 0
    if left:
        side += significant[node - 1]
        if up:
            corner += significant[node - columns - 1]
        if down:
            corner += significant[node + columns - 1]
    if right:
        side += significant[node + 1]
        if up:
            corner += significant[node - columns + 1]
        if down:
            corner += significant[node + columns + 1]
    if up:
        over += significant[node - columns]
    if down:
        over += significant[node + columns]
    parent = 0
    if row >= low_rows or column >= low_columns:
        parent = significant[(row >> 1) * columns + (column >> 1)]
    return ((side * 3 + over) * 2 + min(corner, 1)) * 2 + parent


@njit(cache=True)
def _code_pixel(coder, data, contexts, which, magnitude, negative, node, plane):
    """Ask whether a coefficient reaches this plane and, if so, its sign."""
    found = code_bit(coder, data, contexts, which, np.int64((magnitude[node] >> plane) != 0))
    if found:
        sign = code_fair(coder, data, np.int64(negative[node]))
        if coder[DECODING] and not coder[STOPPED]:
            magnitude[node] = (1 << plane) | _middle(plane)
            negative[node] = sign
    return found


@njit(cache=True)
def _middle(plane):
    """Guess of the bits below a plane: a little under the middle, as small values prevail."""
    return (7 << plane) >> 4


@njit(cache=True)
def _append(array, count, value):
    if count == array.size:
        grown = np.empty(2 * count, array.dtype)
        grown[:count] = array
        array = grown
    array[count] = value
    return array, count + 1
