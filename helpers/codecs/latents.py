"""Numbers of a latent vector in 8 bits each, by one power of two."""

import numpy as np


def to_int8(latent: np.ndarray, lowest: int = -128) -> tuple[int, np.ndarray]:
    """Quantise to at most 255 levels that lie a power of two apart.

    ``latent`` is nearly ``levels * 2**exponent``; the step is the finest that reaches the
    largest number.

    Parameters
    ----------
    latent : float array
        Finite.
    lowest : int
        Smallest exponent to use.

    Returns
    -------
    exponent : int
    levels : int8 array of the latent's shape
        -127 to 127; `numpy.ldexp` of the two gives the latent back.
    """
    exponent = max(int(np.frexp(np.abs(latent).max() / 127.5)[1]), lowest)
    levels = np.clip(np.rint(np.ldexp(latent, -exponent)), -127, 127)
    return exponent, levels.astype(np.int8)
