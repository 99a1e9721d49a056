"""The book's own latent-diffusion upscaler as two weight files, and put together from them."""

from pathlib import Path

from helpers import weights
from helpers.errors import DataError

VAE, UNET = "upscaler-vae", "upscaler-unet"
BEFORE = "upscaler-unet-photographs"  # the U-Net before it was fine-tuned on mammograms


def save_vae(pipeline, file: Path, about: dict) -> dict:
    """Store a trained auto-encoder.

    Parameters
    ----------
    pipeline : helpers.models.upscaler.LatentUpscaler
    file : pathlib.Path
        ``.safetensors``; its card goes beside it.
    about : dict
        Goes on the card, which also says what `load_vae` needs.

    Returns
    -------
    dict
        The card.
    """
    return _save(pipeline.vae, file, about, {})


def save_unet(pipeline, file: Path, about: dict) -> dict:
    """Store a trained U-Net, which is of use only with the auto-encoder that it was trained with.

    Parameters
    ----------
    pipeline : helpers.models.upscaler.LatentUpscaler
        Calibrated, its auto-encoder as `load_vae` read it from the weights ``upscaler-vae``.
    file : pathlib.Path
    about : dict

    Returns
    -------
    dict
        The card.
    """
    needed = {
        "vae_sha256": weights.sha256(VAE).hex(),
        "scaling_factor": pipeline.vae.config.scaling_factor,
        "spread": pipeline.config.spread,
        "anchored": pipeline.config.anchored,
    }
    return _save(pipeline.unet, file, about, needed)


def load_vae(**options):
    """An upscaler with a trained auto-encoder and an untrained U-Net.

    Parameters
    ----------
    **options
        As `helpers.models.upscaler.build` takes them, but for ``vae_widths``.

    Returns
    -------
    helpers.models.upscaler.LatentUpscaler
        On the CPU.

    Raises
    ------
    DataError
        If the weights are missing, damaged or of another network.
    """
    from helpers.models.upscaler import build

    pipeline = build(weights.card(VAE)["widths"], **options)
    fill(pipeline.vae, VAE)
    return pipeline


def load(unet: str = UNET):
    """Put the pipeline together from its shipped weights, on a GPU if there is one.

    Parameters
    ----------
    unet : str
        Name of the U-Net's weights.

    Returns
    -------
    helpers.models.upscaler.LatentUpscaler

    Raises
    ------
    DataError
        If weights are missing, damaged, or of two different trainings.
    """
    import torch

    about = weights.card(unet)
    pipeline = load_vae(unet_widths=about["widths"], anchored=about["anchored"])
    if about["vae_sha256"] != weights.sha256(VAE).hex():
        raise DataError(
            f"The weights {unet} were trained with another auto-encoder than {VAE}; restore both "
            "files, or train both again."
        )
    fill(pipeline.unet, unet)
    pipeline.vae.register_to_config(scaling_factor=about["scaling_factor"])
    pipeline.register_to_config(spread=about["spread"])
    return pipeline.to("cuda" if torch.cuda.is_available() else "cpu")


def fill(network, name: str) -> None:
    """Read the weights of this name into a network.

    Raises
    ------
    DataError
        If they are missing, damaged or of another network.
    """
    values = weights.load(name)
    try:
        network.load_state_dict(values)
    except RuntimeError as error:
        raise DataError(
            f"The weights '{name}' are those of another network; train them again."
        ) from error


def _save(network, file: Path, about: dict, needed: dict) -> dict:
    from helpers.models.cae import count_parameters

    card = {
        "name": file.stem,
        **about,
        "parameters": count_parameters(network),
        "widths": list(network.config.block_out_channels),
        **needed,
        "stored_as": "float16",
    }
    return weights.save(network.state_dict(), file, card)
