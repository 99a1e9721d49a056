"""The paper's upscaler, ``stabilityai/sd-x2-latent-upscaler``: where it may lie, how it is called.

Looked for in the folder that ``MEDCODEC_UPSCALER`` names, then in the cache of the Hugging Face
hub, then on the hub itself, which gets one request and five seconds to answer it.
"""

import contextlib
import importlib.util
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from helpers.downloads import within
from helpers.errors import DataError

REPOSITORY = "stabilityai/sd-x2-latent-upscaler"
VARIABLE = "MEDCODEC_UPSCALER"
STEPS = 20  # as in the paper
ANSWER_SECONDS, DOWNLOAD_SECONDS = 5, 600
GRID = 64  # the small image's sides are padded to its multiples
CELL = 4  # its pixels that share one latent of the large image
CHANNELS = 4  # of a latent
PARTS = ("unet", "vae", "text_encoder")
_YES = ("1", "ON", "YES", "TRUE")  # as the hub's client reads its variables
_FILES = ["*.json", "*.txt", "*.safetensors"]  # no pickles


def load(download: bool = True) -> tuple[object | None, str]:
    """Look for the model and load it, on a GPU if there is one.

    Parameters
    ----------
    download : bool
        Whether the hub may be asked, and the model (gigabytes, once) be fetched from it.

    Returns
    -------
    pipeline : diffusers.StableDiffusionLatentUpscalePipeline or None
    sentence : str
        Where it was read from, or why there is none; without a full stop.

    Raises
    ------
    DataError
        If the variable names no pipeline: a mistyped name must not pass for having none.
    """
    named = os.environ.get(VARIABLE)
    if named and not complete(Path(named).expanduser()):
        raise DataError(
            f"The variable {VARIABLE} names {named}, which holds no diffusers pipeline with its "
            "safetensors; mend it, or unset it."
        )
    if importlib.util.find_spec("transformers") is None:
        return None, "the package transformers, which reads its prompt, is not installed"
    with _silence():
        if named:
            folder, source = Path(named).expanduser(), f"the folder that {VARIABLE} names"
        else:
            folder, source = _cached(), "the hub's cache on this machine"
            if folder is None and not download:
                return None, "it is not on this machine"
            if folder is None:
                folder, source = fetch()
        if folder is None:
            return None, source
        try:
            return _open(folder), f"it was read from {source}"
        except Exception as error:  # whatever libraries of other versions may raise
            return None, f"it cannot be loaded from {source} ({_first_line(error)})"


def complete(folder: Path) -> bool:
    """Whether a folder holds the pipeline with the safetensors of its three networks."""
    return (folder / "model_index.json").is_file() and all(
        any((folder / part).glob("*.safetensors")) for part in PARTS
    )


def fetch() -> tuple[Path | None, str]:
    """Fetch the model from the hub if it answers within five seconds.

    Returns
    -------
    folder : pathlib.Path or None
    sentence : str
        "the hub", or why there is no folder.
    """
    from huggingface_hub import constants, get_hf_file_metadata, hf_hub_url, snapshot_download

    variables = [os.environ.get(f"{name}_OFFLINE", "") for name in ("HF_HUB", "TRANSFORMERS")]
    if constants.HF_HUB_OFFLINE or any(value.upper() in _YES for value in variables):
        return None, "it is not on this machine, and the hub is switched off here"
    endpoint = os.environ.get("HF_ENDPOINT") or None  # the client reads it once, at import
    url = hf_hub_url(REPOSITORY, "model_index.json", endpoint=endpoint)
    if not within(ANSWER_SECONDS, lambda: get_hf_file_metadata(url, timeout=ANSWER_SECONDS)):
        return None, "it is not on this machine, and the hub cannot be reached"
    options = {"allow_patterns": _FILES, "endpoint": endpoint}
    folder = within(DOWNLOAD_SECONDS, lambda: snapshot_download(REPOSITORY, **options))
    if folder is None or not complete(Path(folder)):
        return None, "the hub answers, but the model could not be fetched whole"
    return Path(folder), "the hub"


def noise(height: int, width: int, seed: int):
    """Noise for a small image of these sides and for every tile of it that begins on the grid.

    Returns
    -------
    (4, h, w) float32 tensor
        One place for each 4 x 4 pixels of the small image after padding.
    """
    import torch

    sides = [-(-side // GRID) * GRID // CELL for side in (height, width)]
    return torch.randn(CHANNELS, *sides, generator=torch.Generator().manual_seed(seed))


def double(pipeline, image: np.ndarray, start, seed: int) -> np.ndarray:
    """Double the sides of a grey image with the paper's model, 20 steps, guidance scale 0.

    Parameters
    ----------
    pipeline : diffusers.StableDiffusionLatentUpscalePipeline
    image : (H, W) float32 array in [0, 1]
        Padded by repeating its border, and shown to the model as a colour image.
    start : (4, h, w) float tensor
        From `noise`.
    seed : int
        Of the latent that the auto-encoder draws for the small image.

    Returns
    -------
    (2 H, 2 W) float32 array in [0, 1]
        Mean of the three colours.
    """
    import torch

    height, width = image.shape
    kind = pipeline.unet.dtype
    low = torch.from_numpy(image)[None, None]
    low = torch.nn.functional.pad(low, (0, -width % GRID, 0, -height % GRID), mode="replicate")
    large = pipeline(
        prompt="",
        image=low.expand(-1, 3, -1, -1).to(kind),
        num_inference_steps=STEPS,
        guidance_scale=0,
        generator=torch.Generator().manual_seed(seed),
        latents=start[None].to(kind),
        output_type="pt",
    ).images
    grey = large.float().mean(1)[0].cpu()
    return grey[: 2 * height, : 2 * width].numpy()


def _open(folder: Path):
    import torch
    from diffusers import StableDiffusionLatentUpscalePipeline

    on_gpu = torch.cuda.is_available()
    pipeline = StableDiffusionLatentUpscalePipeline.from_pretrained(
        folder,
        torch_dtype=torch.float16 if on_gpu else torch.float32,
        use_safetensors=True,
        local_files_only=True,
    )
    pipeline.set_progress_bar_config(disable=True)
    return pipeline.to("cuda" if on_gpu else "cpu")


def _cached() -> Path | None:
    from huggingface_hub import snapshot_download

    with contextlib.suppress(Exception):  # nothing there, or a cache that cannot be read
        folder = Path(snapshot_download(REPOSITORY, local_files_only=True))
        return folder if complete(folder) else None
    return None


@contextlib.contextmanager
def _silence() -> Iterator[None]:
    """No progress bars and no advice from diffusers or from the hub's client."""
    from huggingface_hub.utils import (
        are_progress_bars_disabled,
        disable_progress_bars,
        enable_progress_bars,
        logging,
    )

    from helpers.models.upscaler import quiet

    level, bars = logging.get_verbosity(), not are_progress_bars_disabled()
    logging.set_verbosity_error()
    disable_progress_bars()
    try:
        with quiet():
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            enable_progress_bars()


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0][:200] if lines else type(error).__name__
