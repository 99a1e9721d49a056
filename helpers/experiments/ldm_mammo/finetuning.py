"""Fine-tuning of the paper's upscaler on squares of mammograms, which the paper leaves for later.

The profile `full` does it where the model is at hand; `helpers.upscalers` then uses the tuned
one if the variable ``MEDCODEC_UPSCALER`` names its folder. A network trained on EMBED must not
be published: the agreement on its use forbids that without permission.
"""

import hashlib
import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor, nn

from helpers.data.files import write_atomically
from helpers.experiments import cards
from helpers.experiments.ldm_mammo.training import SIDE, joined, squares
from helpers.models.cae import count_parameters
from helpers.models.hub_tuning import setting, tuning_loss
from helpers.models.superres import reduce
from helpers.models.upscaler import quiet
from helpers.schedule import Schedule
from helpers.train import fit
from helpers.upscalers import hub

RECIPE = Schedule(20, batch=16, learning_rate=1e-5, measure_every=5, checkpoint_every=5)
LOSS = "squared error of the denoised latents, weighted by 1 + 1 / sigma^2"


class Tuning(nn.Module):
    """The U-Net of the paper's pipeline, which is to draw mammograms."""

    def __init__(self, pipeline):
        super().__init__()
        self.pipeline, self.unet = pipeline, pipeline.unet
        self.setting = setting(pipeline)

    def loss(self, high: Tensor) -> Tensor:
        """See `helpers.models.hub_tuning.tuning_loss`."""
        return tuning_loss(self.pipeline, reduce(high).clamp(0, 1), high, self.setting)

    def reconstruct(self, high: Tensor) -> Tensor:
        """What is drawn of the small squares in 20 steps, (N, 1, H, W) in [0, 1]."""
        low = reduce(high)[:, 0].clamp(0, 1).float().cpu().numpy()
        start = hub.noise(*low.shape[1:], seed=0)
        drawn = [torch.from_numpy(hub.double(self.pipeline, one, start, seed=0)) for one in low]
        return torch.stack(drawn)[:, None].to(high)


def finetune(
    pipeline,
    sources: Sequence[str],
    folder: Path,
    schedule: Schedule | None = None,
    *,
    checkpoints: Path | None = None,
    limit: int | None = None,
) -> dict:
    """Tune the U-Net of the paper's pipeline, in place, and write the pipeline and its card.

    Auto-encoder and text encoder stay as they are, and the prompt is empty. Training is done
    in float32, on a GPU with bfloat16 products; the precision that the pipeline came in is
    given back to it before it is written.

    Parameters
    ----------
    pipeline : diffusers.StableDiffusionLatentUpscalePipeline
        From `helpers.upscalers.hub.load`.
    sources : sequence of str
        As `helpers.experiments.ldm_mammo.training.squares` takes them; their squares are joined.
    folder : pathlib.Path
        Where the pipeline goes; the card lands beside it, with ``.json`` after its name.
    schedule : Schedule, optional
        Instead of the recipe.
    checkpoints : pathlib.Path, optional
        Folder from which an interrupted run goes on; each schedule, set of squares and model
        has a folder of its own in it.
    limit : int, optional
        At most this many films a source.

    Returns
    -------
    dict
        The card.

    Raises
    ------
    ValueError
        If something other than a pipeline is in the place of `folder`, or the training diverged.
    """
    _check_place(folder)
    schedule = schedule or RECIPE
    found = [squares(source, limit) for source in sources]
    training, watched = zip(*found, strict=True)
    images, held_out = (joined(parts) for parts in (training, watched))
    torch.manual_seed(schedule.seed)
    kind = pipeline.unet.dtype
    with quiet():
        pipeline.to("cuda" if torch.cuda.is_available() else "cpu", torch.float32)
    began = _digest(pipeline)
    key = cards.key(schedule, training, hub.REPOSITORY, began)
    history = fit(
        Tuning(pipeline),
        images,
        schedule,
        held_out=held_out,
        folder=None if checkpoints is None else checkpoints / key,
        description="the paper's unet",
    )
    with quiet():
        pipeline.to(kind)
    about = {
        "name": folder.name,
        "paper": "ldm-mammography",
        "network": "unet",
        "side": SIDE,
        "loss": LOSS,
        "optimiser": "Adam",
        "began_with_sha256": began,
        **cards.fitted(schedule, training, watched, history),
        "parameters": count_parameters(pipeline.unet),
        "stored_as": str(kind).removeprefix("torch."),
    }
    _save(pipeline, folder, about)
    return about


def _check_place(folder: Path) -> None:
    """Raise ValueError unless the place is free or holds a pipeline, which may be replaced."""
    empty = folder.is_dir() and not any(folder.iterdir())
    if folder.exists() and not empty and not hub.complete(folder):
        raise ValueError(f"{folder} holds something other than a pipeline; name another folder.")


def _digest(pipeline) -> str:
    """SHA-256 of the weights of U-Net and auto-encoder, in hexadecimal digits."""
    sha = hashlib.sha256()
    for network in (pipeline.unet, pipeline.vae):
        for name, values in network.state_dict().items():
            sha.update(name.encode())
            sha.update(values.cpu().contiguous().numpy())
    return sha.hexdigest()


def _save(pipeline, folder: Path, about: dict) -> None:
    """Write the pipeline under a temporary name, rename it, and write its card."""
    if not all(values.isfinite().all() for values in pipeline.unet.state_dict().values()):
        raise ValueError(
            "A weight is not finite, or too large for the precision that the model came in; the "
            "training diverged: lower its learning rate."
        )
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".writing-", dir=folder.parent) as name:
        new, old = Path(name) / "new", Path(name) / "old"
        with quiet():
            pipeline.save_pretrained(new, safe_serialization=True)
        if folder.exists():
            folder.rename(old)
        new.rename(folder)
    card = folder.with_name(f"{folder.name}.json")
    write_atomically(card, (json.dumps(about, indent=1) + "\n").encode())
