"""Sizes and orders that the network and the codec share; no framework is needed to know them.

The 256 bands of a block are coded in six groups from low to high frequency, and within a group the
positions come in stages. The low bands change smoothly from block to block, so they are coded like
an image that grows sharper: every fourth position first, then those in the middle of four known
ones, and so on. For the other bands two stages suffice, the dark and the light squares of a
checkerboard (He et al. 2021).

::

    0 4 2 4
    4 3 4 3
    2 4 1 4
    4 3 4 3
"""

BLOCK = 16  # pixels a side that become one position of the latents
BANDS = BLOCK**2
MIDDLE = 128  # the grey level that the networks see as 0
GROUPS = (4, 12, 32, 48, 64, 96)
STAGES = (5, 5, 2, 2, 2, 2)
STARTS = tuple(sum(GROUPS[:k]) for k in range(len(GROUPS)))
ORDER = ((0, 4, 2, 4), (4, 3, 4, 3), (2, 4, 1, 4), (4, 3, 4, 3))
SHRINK = 4  # of the hyper-latent, on top of the block
LOG_SCALE = 2.0  # an output of 0 means a scale of a quarter of the band's spread
COARSEST, FINEST = 80.0, 2.5  # steps the training begins with, in grey levels, at level 0 and 1
SLOPE = 8.66  # what a squared error of one step is worth, in bits: 6 / ln 2, its rate at high rates


def usual_step(level):
    """Step that a level from 0 to 1 stands for, in grey levels; of numbers, arrays or tensors."""
    return COARSEST ** (1 - level) * FINEST**level


def price(level):
    """Lambda: the bits a pixel that one squared grey level of error a pixel is worth."""
    return SLOPE / usual_step(level) ** 2
