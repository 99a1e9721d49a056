"""An encoder that looks at what its decoder will show, and corrects itself.

The analysis network guesses latents before anything is rounded. Once they are, the encoder can do
what the decoder does and see what is still missing from the picture. Rounded latents plus the
cosine transform of what is missing are the latents that would have been right, if the network of
the decoder repaired no more and no less than it just did. They are rounded in turn. A decoder
knows nothing of all this.

Taught in the section "An encoder that looks again" of
*Beyond the papers: a lossy codec that learns*.
"""

import numpy as np

from helpers.codecs.hyperprior.floats import analysed, cosine_transform, synthesised
from helpers.codecs.hyperprior.model import Trained
from helpers.codecs.hyperprior.stream import MARGIN, symbolise

ROUNDS = 2


def refined(
    model: Trained,
    picture: np.ndarray,
    level: int,
    rounds: int = ROUNDS,
    margin: float = MARGIN,
) -> tuple[np.ndarray, np.ndarray]:
    """Latents and hyper-latent of a picture, ready for `helpers.codecs.hyperprior.stream.encode`.

    Parameters
    ----------
    model : Trained
    picture : (16 h, 16 w) float32 array
        Grey levels less 128.
    level : int
    rounds : int
        How often the encoder looks; 0 leaves the latents as the analysis network gives them.
    margin : float
        With which the latents will be rounded, see `helpers.codecs.hyperprior.stream.encode`.

    Returns
    -------
    latents : (h, w, 256) float32 array, in grey levels
    side : (h/4, w/4, 16) int64 array, sides rounded up
    """
    latents, side = analysed(model, picture, level)
    for _ in range(rounds):
        made = symbolise(model, latents, side, level, lambda found, scales: found, margin)
        latents = made + cosine_transform(model, picture - synthesised(model, made, level))
    return latents, side
