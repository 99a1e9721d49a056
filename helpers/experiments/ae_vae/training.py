"""Training of the auto-encoder and the variational auto-encoder of Abdelrahman."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from helpers import weights
from helpers.experiments import cards
from helpers.experiments.ae_vae.data import SIDE, sets
from helpers.experiments.recipe import Recipe
from helpers.keras_setup import keras
from helpers.models import losses
from helpers.models.ae import build
from helpers.models.halves import count_parameters, state
from helpers.schedule import Schedule
from helpers.train_keras import fit

# The paper's epochs. The author's notebooks take batches of 1 and 10 and steps of 1e-3 and 1e-5;
# with a step of 1e-3 the variational network's variances overflow in the first epoch.
_OFTEN = {"batch": 8, "measure_every": 5, "checkpoint_every": 5}
RECIPES = {
    "ae": Recipe(losses.mse_loss, "MSE", Schedule(1000, learning_rate=1e-3, **_OFTEN)),
    "vae": Recipe(
        losses.bce_loss,
        "binary cross-entropy + KL",
        Schedule(1000, learning_rate=3e-4, **_OFTEN),
    ),
}


def train(
    network: str,
    sources: Sequence[str],
    out: Path,
    schedule: Schedule | None = None,
    *,
    side: int = SIDE,
    beta: float = 1.0,
    checkpoints: Path | None = None,
    limit: int | None = None,
) -> dict:
    """Train one network and write its weights and card.

    As in the paper, the variables of the epoch with the lowest training loss are kept.

    Parameters
    ----------
    network : {"ae", "vae"}
    sources : sequence of str
        Sources of mammograms; their training parts are joined.
    out : pathlib.Path
        Where the ``.safetensors`` file goes.
    schedule : Schedule, optional
        Instead of the recipe's.
    side : int
        Of the films or patches, in pixels.
    beta : float
        Weight of the divergence; ``"vae"`` only.
    checkpoints : pathlib.Path, optional
        Folder from which an interrupted run goes on; each schedule, network, weight and set of
        images has a folder of its own in it.
    limit : int, optional
        At most this many images a source and side of the split, spread evenly.

    Returns
    -------
    dict
        The card.

    Raises
    ------
    ValueError
        If the weight of the divergence is negative, or given for a network that has none.
    """
    recipe = RECIPES[network]
    schedule = schedule or recipe.schedule
    variational = network == "vae"
    if beta < 0 or (beta != 1 and not variational):
        raise ValueError(
            f"beta={beta} weighs a divergence: it must be 0 or more, and only 'vae' takes it."
        )
    pairs = [sets(source, side) for source in sources]
    training, held_out = ([pair[at].spread(limit) for pair in pairs] for at in (0, 1))
    films, watched = (
        np.concatenate([part.stack() for part in parts]) for parts in (training, held_out)
    )
    keras.utils.set_random_seed(schedule.seed)
    model = build(side, variational=variational, beta=beta)
    key = cards.key(schedule, training, network, side, beta)
    history = fit(
        model,
        films,
        schedule,
        recipe.loss,
        held_out=watched,
        folder=None if checkpoints is None else checkpoints / key,
        lowest=True,
        description=network,
    )
    card = {
        "name": out.stem,
        "paper": "ae-vae-cbis-ddsm",
        "network": network,
        "parameters": count_parameters(model),
        "side": side,
        "loss": recipe.loss_name,
        "beta": beta if variational else None,
        "optimiser": "Adam",
        "kept": "the epoch with the lowest training loss",
        "kept_epoch": int(history.loc[history["loss"].idxmin(), "epoch"]),
        "backend": keras.backend.backend(),
        "precision": "float32",
        "stored_as": "int8 and float16",
        **cards.fitted(schedule, training, held_out, history),
    }
    return weights.save(state(model), out, card, bits=8)
