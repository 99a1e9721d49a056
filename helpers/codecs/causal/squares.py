"""Local least squares: a linear predictor that is fitted anew at every pixel.

Each pixel is guessed as a weighted sum of its coded neighbours. The weights are those that would
have guessed the pixels nearby best: a least-squares fit whose samples count less the further they
lie above (by a factor a row) and aside (by a factor a column), and less where the picture is
restless (Wu, Barthel and Zhang 1998; Meyer and Tischer 2001). Sums over such a neighbourhood need
no loop over it: a running sum down each column, one along the row to the left, and one over the
rows above from the right hold all of it.

The arithmetic is float64 in a fixed order of additions, multiplications and divisions. IEEE 754
says what each of them gives to the last bit, and nothing here lets a compiler reorder them or
fuse two, so every machine fits the same weights. (Sums in an order that the library chooses, as
in a network's matrix products, are what breaks this; see `network`.)

Taught in *Beyond the papers*.
"""

import numpy as np
from numba import njit

RIDGE = 1e-3  # of the mean diagonal, added to it: keeps the fit sane where all is flat
FLOOR = 60.0  # squared grey levels of activity at which a sample counts half as much
_COLUMN, _ABOVE, _LEFT = range(3)  # running sums: down, of the rows above from the right, along
_FIT, _PIVOT, _STEP, _SAMPLE = range(4)  # scratch rows of `work`


def new_squares(count: int, width: int) -> tuple[np.ndarray, np.ndarray]:
    """State of a predictor that has seen nothing.

    Parameters
    ----------
    count : int
        Number of neighbours, the nearest ones.
    width : int
        Of the image, in pixels.

    Returns
    -------
    sums : (3, width + 1, size) float64 array
        Packed lower triangles of products: of the neighbours and, as the last row, the pixel.
    work : (4, size) float64 array
        Scratch.
    """
    size = (count + 1) * (count + 2) // 2
    return np.zeros((3, width + 1, size)), np.zeros((4, size))


@njit(cache=True, error_model="numpy")
def start_row(sums, decay):
    """Begin a row: what lies above and to the right of each pixel, and nothing to its left."""
    size, width = sums.shape[2], sums.shape[1] - 1
    for k in range(size):
        sums[_ABOVE, width, k] = 0.0
        sums[_LEFT, 0, k] = 0.0
    for x in range(width - 1, -1, -1):
        for k in range(size):
            sums[_ABOVE, x, k] = decay * sums[_COLUMN, x, k] + decay * sums[_ABOVE, x + 1, k]


@njit(cache=True, error_model="numpy")
def predict(sums, work, count, x, near):
    """Guess the pixel in column x from its neighbours, both relative to the same grey level.

    The normal equations are solved by the factors of Cholesky without square roots: the row of
    the pixel itself rides along and ends up as the solution of the triangular half.
    """
    fit, pivot, step = work[_FIT], work[_PIVOT], work[_STEP]
    left, above = sums[_LEFT, 0], sums[_ABOVE, x]
    for k in range(fit.size):
        fit[k] = left[k] + above[k]
    trace = 0.0
    for i in range(count):
        trace += fit[i * (i + 1) // 2 + i]
    ridge = RIDGE * trace / count + 1e-3
    for i in range(count):
        fit[i * (i + 1) // 2 + i] += ridge
    for k in range(count):
        inverse = 1.0 / fit[k * (k + 1) // 2 + k]
        for i in range(k + 1, count + 1):
            pivot[i] = fit[i * (i + 1) // 2 + k]
        for i in range(k + 1, count + 1):
            row = i * (i + 1) // 2
            factor = pivot[i] * inverse
            fit[row + k] = factor
            for j in range(k + 1, i + 1):
                fit[row + j] -= factor * pivot[j]
    last = count * (count + 1) // 2
    for k in range(count):
        step[k] = fit[last + k]
    guess = 0.0
    for k in range(count - 1, -1, -1):
        weight, row = step[k], k * (k + 1) // 2
        for j in range(k):
            step[j] -= fit[row + j] * weight
        guess += weight * near[k]
    return guess


@njit(cache=True, error_model="numpy")
def learn(sums, work, count, decay, x, near, value, restless):
    """Add the pixel just coded with its neighbours to the samples.

    `value` is relative to the same grey level as `near`; `restless` is the activity about it.
    """
    sample, column, left = work[_SAMPLE], sums[_COLUMN, x], sums[_LEFT, 0]
    for i in range(count):
        sample[i] = near[i]
    sample[count] = value
    weight = 1.0 / (restless * restless + FLOOR)
    k = 0
    for i in range(count + 1):
        weighted = weight * sample[i]
        for j in range(i + 1):
            column[k + j] = decay * column[k + j] + weighted * sample[j]
            left[k + j] = decay * left[k + j] + column[k + j]
        k += i + 1
