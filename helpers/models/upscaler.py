"""The book's own latent-diffusion upscaler, built from the parts of diffusers.

An auto-encoder maps pixels to latents of a quarter of the side; a U-Net starts from noise and
arrives in 20 steps at the latents of an image of twice the size. Taught in the chapter *Latent
diffusion for mammograms*.

What is drawn is not the latent z of the large image but the part of it that the small image
leaves open: r = (z - c) / spread, where c is the latent of the small image enlarged by a bicubic
filter (shifting by what is known follows ResShift, Yue et al. 2023). c is nearly z already: a
network that draws z itself spends its strength on repeating c. In the same way decoding can be
anchored: what the decoder makes of z less what it makes of c is added to the enlarged image, so
that errors of the small auto-encoder cancel where nothing was drawn.
"""

import contextlib
import warnings
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import pad, pixel_unshuffle

from helpers.models.superres import FACTOR, enlarge

with warnings.catch_warnings():
    warnings.simplefilter("ignore")  # in a notebook it misses widgets for its progress bars
    from diffusers import AutoencoderKL, DDIMScheduler, DiffusionPipeline, UNet2DModel
    from diffusers.utils import logging

STEPS = 20
SHRINK = 4  # side of the image over side of its latent
CHANNELS = 4  # of a latent
CELL = SHRINK // FACTOR  # pixels of the small image that share one latent of the large one
VAE_WIDTHS = (24, 48, 96)
UNET_WIDTHS = (32, 64, 128)
_GROUPS = 8


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Keep diffusers from printing progress bars and advice about packages."""
    level, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(level)
        if bars:
            logging.enable_progress_bar()


class LatentUpscaler(DiffusionPipeline):
    """Twice the size by diffusion in a latent space, without a prompt and without guidance.

    Saves and loads like every pipeline of diffusers: ``pipeline.save_pretrained(folder)`` writes
    a ``model_index.json`` and a folder for each part, weights as safetensors, and
    ``LatentUpscaler.from_pretrained(folder)`` reads them. Call it on this class, not on
    `DiffusionPipeline`, which knows only the classes inside diffusers.

    Parameters
    ----------
    vae : diffusers.AutoencoderKL
        One channel; ``scaling_factor`` brings latents to unit variance.
    unet : diffusers.UNet2DModel
        12 channels in: the noisy latent, the latent c, and the small image's own pixels with
        2 x 2 of them in each place. 4 channels out.
    scheduler : diffusers.DDIMScheduler
        Predicts v: at the first step, pure noise, a network that predicts the noise need only
        copy its input, whereas v is the negative of what is sought at that end and the noise at
        the other, of unit variance throughout.
    spread : float
        Standard deviation of what c leaves open, z - c.
    anchored : bool
        True: the enlarged image plus decoder(z) - decoder(c). False: decoder(z), as in Stable
        Diffusion, whose auto-encoder is fifty times larger.
    """

    def __init__(
        self,
        vae: AutoencoderKL,
        unet: UNet2DModel,
        scheduler: DDIMScheduler,
        spread: float = 1.0,
        anchored: bool = True,
    ):
        super().__init__()
        self.register_modules(vae=vae, unet=unet, scheduler=scheduler)
        self.register_to_config(spread=spread, anchored=anchored)

    @classmethod
    def from_pretrained(cls, folder, **options) -> "LatentUpscaler":
        """Read a pipeline that `save_pretrained` wrote, ready for use, without a word."""
        with quiet():
            return super().from_pretrained(folder, **options)

    cell = CELL

    @property
    def grid(self) -> int:
        """Pixels of the small image to whose multiples its sides are padded."""
        return CELL * 2 ** (len(self.unet.config.block_out_channels) - 1)

    def noise(self, height: int, width: int, seed: int = 0) -> Tensor:
        """Noise that the drawing of a large image begins with.

        Parameters
        ----------
        height, width : int
            Of the small image.
        seed : int

        Returns
        -------
        (4, h, w) float32 tensor on the CPU
            One place for each 2 x 2 pixels of the small image after padding.
        """
        chance = torch.Generator().manual_seed(seed)
        sides = [-(-side // self.grid) * self.grid // CELL for side in (height, width)]
        return torch.randn(CHANNELS, *sides, generator=chance)

    def latents(self, images: Tensor) -> Tensor:
        """Latents of images, scaled to unit variance, without chance.

        Parameters
        ----------
        images : (N, 1, H, W) float tensor in [0, 1]
            Sides are multiples of 4.

        Returns
        -------
        (N, 4, H/4, W/4) float tensor
        """
        posterior = self.vae.encode(2 * images - 1).latent_dist
        return posterior.mode() * self.vae.config.scaling_factor

    def known(self, low: Tensor) -> Tensor:
        """What the U-Net is told of the large image: the latent c and the small image's pixels.

        Parameters
        ----------
        low : (N, 1, H, W) float tensor in [0, 1]
            Sides are multiples of `grid`.

        Returns
        -------
        (N, 8, H/2, W/2) float tensor
            Four channels of c, then four of pixels.
        """
        return torch.cat([self.latents(enlarge(low)), pixel_unshuffle(2 * low - 1, CELL)], 1)

    @torch.inference_mode()
    def __call__(
        self,
        images: np.ndarray,
        steps: int = STEPS,
        seed: int = 0,
        noise: Tensor | None = None,
        batch: int | None = None,
    ) -> np.ndarray:
        """Double the sides of images.

        Every image begins with the same noise, so that two images that differ in a lesion
        differ in nothing else, and a result does not depend on the batch it was made in.

        Parameters
        ----------
        images : (N, H, W) float array in [0, 1]
            Any sides; they are padded by repeating the border and cropped again.
        steps : int
            Calls of the U-Net for each image, 1 to 1000.
        seed : int
        noise : (4, h, w) float tensor, optional
            Instead of `seed`, shaped as `noise` does it: for tiles of one larger image.
        batch : int, optional
            Images at a time; 1 on a CPU, where results then agree to the last bit, and 32
            on a GPU.

        Returns
        -------
        (N, 2 H, 2 W) float32 array in [0, 1]

        Raises
        ------
        ValueError
            If images, noise, or steps are not as above.
        """
        images = _checked(images)
        height, width = images.shape[1:]
        if noise is None:
            noise = self.noise(height, width, seed)
        elif noise.shape != self.noise(height, width).shape:
            raise ValueError(
                f"Noise of shape {tuple(noise.shape)} does not fit images of {height} x {width} "
                "pixels; make it with the method `noise`."
            )
        if not 1 <= steps <= self.scheduler.config.num_train_timesteps:
            raise ValueError(f"An image is drawn in 1 to 1000 steps, not in {steps}.")
        batch = batch or (1 if self.device.type == "cpu" else 32)
        low = torch.from_numpy(images)[:, None]
        low = pad(low, (0, -width % self.grid, 0, -height % self.grid), mode="replicate")
        parts = [self._draw(part, noise, steps) for part in low.split(batch)]
        whole = torch.cat(parts)[:, 0, : FACTOR * height, : FACTOR * width]
        return whole.numpy()

    def _draw(self, low: Tensor, noise: Tensor, steps: int) -> Tensor:
        """Large images of a padded batch, (N, 1, 2 H, 2 W) float32 on the CPU."""
        place = {"device": self.device, "dtype": self.unet.dtype}
        known = self.known(low.to(**place)).contiguous(memory_format=torch.channels_last)
        rest = noise.to(**place).expand(len(low), -1, -1, -1)
        rest = rest.contiguous(memory_format=torch.channels_last)
        self.scheduler.set_timesteps(steps, device=self.device)
        for time in self.scheduler.timesteps:
            velocity = self.unet(torch.cat([rest, known], 1), time).sample
            rest = self.scheduler.step(velocity, time, rest).prev_sample
        nearly = known[:, :CHANNELS]
        large = self._decoded(nearly + self.config.spread * rest)
        if self.config.anchored:
            large = enlarge(low.to(large)) + large - self._decoded(nearly)
        return large.float().clamp(0, 1).cpu()

    def _decoded(self, latents: Tensor) -> Tensor:
        """Images of latents, roughly in [0, 1]."""
        return self.vae.decode(latents / self.vae.config.scaling_factor).sample / 2 + 0.5


def build(
    vae_widths: Sequence[int] = VAE_WIDTHS,
    unet_widths: Sequence[int] = UNET_WIDTHS,
    anchored: bool = True,
) -> LatentUpscaler:
    """An untrained upscaler in evaluation mode; seed PyTorch to get the same one again.

    Parameters
    ----------
    vae_widths : three of int
        Channels of the auto-encoder at full, half and a quarter of the side.
    unet_widths : sequence of int
        Channels of the U-Net, from the latent's size downwards.
    anchored : bool
        See `LatentUpscaler`.

    Raises
    ------
    ValueError
        If widths are not multiples of 8, or the auto-encoder has not three of them.
    """
    if len(vae_widths) != 3 or any(width % _GROUPS for width in (*vae_widths, *unet_widths)):
        raise ValueError(
            f"Widths {tuple(vae_widths)} and {tuple(unet_widths)} do not make an upscaler; give "
            "three for the auto-encoder, all of them multiples of 8."
        )
    levels = len(unet_widths)
    vae = AutoencoderKL(
        in_channels=1,
        out_channels=1,
        latent_channels=CHANNELS,
        block_out_channels=tuple(vae_widths),
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        layers_per_block=1,
        norm_num_groups=_GROUPS,
        mid_block_add_attention=False,  # tissue is local, and attention's cost is quadratic
        scaling_factor=1.0,
    )
    unet = UNet2DModel(
        in_channels=2 * CHANNELS + CELL**2,
        out_channels=CHANNELS,
        block_out_channels=tuple(unet_widths),
        down_block_types=("DownBlock2D",) * levels,
        up_block_types=("UpBlock2D",) * levels,
        layers_per_block=1,
        norm_num_groups=_GROUPS,
        add_attention=False,
    )
    scheduler = DDIMScheduler(
        beta_schedule="squaredcos_cap_v2",
        prediction_type="v_prediction",
        clip_sample=False,
        # drawing starts at pure noise, so training must go as far (Lin et al. 2024)
        rescale_betas_zero_snr=True,
        timestep_spacing="trailing",
    )
    pipeline = LatentUpscaler(vae, unet, scheduler, anchored=anchored)
    vae.eval()
    unet.eval()
    return pipeline


def _checked(images: np.ndarray) -> np.ndarray:
    images = np.ascontiguousarray(images, np.float32)
    if images.ndim != 3 or not images.size or not (images.min() >= 0 and images.max() <= 1):
        raise ValueError(
            f"The upscaler takes images of shape (N, H, W) in [0, 1], not an array of shape "
            f"{images.shape} or with other values; divide grey values by the largest possible."
        )
    return images
