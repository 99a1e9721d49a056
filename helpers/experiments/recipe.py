"""How a Keras network of the papers is trained, as a card says it."""

from collections.abc import Callable
from dataclasses import dataclass

from helpers.schedule import Schedule


@dataclass(frozen=True)
class Recipe:
    """How one network of a paper is trained.

    Parameters
    ----------
    loss : callable
        Of ``(y_true, y_pred)``; a variational network adds its divergence.
    loss_name : str
        What the card says.
    schedule : Schedule
        The paper's epochs, and its batch and learning rate where it names them.
    base : str
        Weights whose delta is learnt; empty where the images themselves are.
    """

    loss: Callable
    loss_name: str
    schedule: Schedule
    base: str = ""
