"""Training of a decoder after HiFiC: what is believed counts beside what is right.

The encoder stays as it is, and so do its bytes. Only the synthesis is trained further, at one low
rate, with the distortion of Mentzer et al. (2020): squared error, a distance of features (LPIPS),
and what a critic that sees the latents makes of the picture.
"""

import copy
import time
from pathlib import Path

import numpy as np
import pandas as pd
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from helpers import perceptual, weights
from helpers.codecs.hific import AS_TRAINED, BASE
from helpers.codecs.hyperprior.codec import HyperCodec
from helpers.codecs.hyperprior.integers import LEVELS
from helpers.codecs.hyperprior.model import trained
from helpers.codecs.hyperprior.painter import COSINE_BITS
from helpers.data import ImageSet
from helpers.errors import DataError
from helpers.experiments import cards
from helpers.experiments.beyond import latent_bank, pictures
from helpers.experiments.beyond.states import keep, taken_up
from helpers.models.hyperprior.critic import Critic
from helpers.models.hyperprior.layout import BANDS, BLOCK
from helpers.models.hyperprior.network import UNIT
from helpers.models.hyperprior.transform import Synthesis, cosines, fixed
from helpers.progress import live
from helpers.schedule import Schedule

RECIPE = Schedule(epochs=30, batch=8, learning_rate=2e-4, measure_every=5, checkpoint_every=5)
STEPS = 100  # of an epoch
RATE = 0.14  # bits a pixel, HiFiC's lowest
SIDE = 256  # of the films
FILMS = 800  # of a source, at most, among which
LEARNT, WATCHED = 400, 8  # so many are learnt from, and watched
BLOCKS = (3, 2, 1)  # residual blocks at 1/4, 1/8 and 1/16: one more than the codec has
SQUARED, BELIEVED = 0.075 / 32, 0.15  # weights of HiFiC; that of LPIPS is 1
DECAY = 0.4  # share of the epochs at the end in which the learning rate falls to 0


def train(
    out: Path,
    schedule: Schedule = RECIPE,
    *,
    checkpoints: Path | None = None,
    limit: int | None = None,
) -> dict:
    """Train the decoder on chest films and write its weights and card.

    Parameters
    ----------
    out : pathlib.Path
        Where the ``.safetensors`` file goes.
    schedule : Schedule
    checkpoints : pathlib.Path, optional
        Folder from which an interrupted run goes on.
    limit : int, optional
        At most this many films a source.

    Returns
    -------
    dict
        The card.

    Raises
    ------
    DataError
        If AlexNet, from which LPIPS is computed, cannot be had.
    """
    features, origin = perceptual.network()
    if features is None:
        raise DataError(f"{origin}; without it this decoder is not trained.")
    used = {part: films(part, limit) for part in ("train", "test")}
    level = level_of(RATE, used["train"])
    torch.manual_seed(schedule.seed)
    model = trained(BASE)
    known = [one.spread(LEARNT) for one in used["train"]]
    unknown = [one.spread(WATCHED) for one in used["test"]]
    learnt, watched = (latent_bank.Bank(part, model, level) for part in (known, unknown))
    nets = nn.ModuleDict({"painter": painter(model.network.synthesis, level), "critic": Critic()})
    key = cards.key(schedule, used["train"], out.stem, weights.sha256(BASE).hex())
    folder = None if checkpoints is None else checkpoints / key
    history = fit(nets, learnt, watched, features, model.network.spread, schedule, folder)
    about = {
        "name": out.stem,
        "paper": "beyond-the-papers",
        "loss": f"{SQUARED:.5f} squared error + LPIPS - {BELIEVED} log of the critic's belief",
        "begun_from": {BASE: weights.sha256(BASE).hex()},
        "needs": [BASE],  # to decode, beside these
        "level": level,
        "features": origin,
        "optimiser": f"Adam, betas 0.5 and 0.99; linear to 0 over the last {DECAY:.0%}",
        "steps": STEPS * len(history),
        "crop": latent_bank.CROP,
        **cards.fitted(schedule, known, unknown, history),
        "parameters": sum(values.numel() for values in nets["painter"].parameters()),
        "stored_as": "float16 and int32",
    }
    about["images_per_second"] = round(
        STEPS * schedule.batch / float(history["seconds"].median()), 1
    )
    return weights.save(arrays(nets["painter"].cpu(), level), out, about)


def arrays(net: Synthesis, level: int) -> dict[str, np.ndarray]:
    """What `helpers.codecs.hific` needs: the decoder's state, cosines, level and base.

    Parameters
    ----------
    net : Synthesis
        For a single rate.
    level : int
    """
    found = {name: value.numpy() for name, value in net.state_dict().items()}
    whole = np.rint(cosines().reshape(BANDS, BLOCK**2).numpy() * 2**COSINE_BITS)
    base = np.frombuffer(weights.sha256(BASE), np.uint8)
    return found | {
        "cosines": whole.astype(np.int32),
        "level": np.array([level], np.int32),
        "base": base.astype(np.int32),
    }


def films(part: str, limit: int | None = None) -> list[ImageSet]:
    """Chest films at 256², the first two albums of the lossy codec.

    Parameters
    ----------
    part : {"train", "test"}
    limit : int, optional
        At most this many a source.
    """
    return [
        latent_bank.at_side(album.images.spread(limit or FILMS), SIDE)
        for album in pictures.albums(part, limit)[:2]
    ]


def level_of(rate: float, sources: list[ImageSet], count: int = 8) -> int:
    """Level of the lossy codec whose rate on some films comes closest to `rate` bits a pixel."""
    some = [image for images in sources for image in images.spread(count).images]

    def mean(level: int) -> float:
        codec = HyperCodec(level, BASE, **AS_TRAINED)
        return float(np.mean([8 * len(codec.encode(image)) / image.size for image in some]))

    low, high = 0, LEVELS - 1
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if mean(middle) < rate else (low, middle)
    return min((low, high), key=lambda level: abs(mean(level) - rate))


def painter(synthesis: Synthesis, level: int) -> Synthesis:
    """The codec's synthesis at one level, with more blocks that begin by doing nothing much."""
    whole = Synthesis(BLOCKS)
    parts = fixed(copy.deepcopy(synthesis), level / (LEVELS - 1))
    for name, module in parts.named_children():
        if name != "stacks":
            setattr(whole, name, module)
            continue
        for old, new in zip(module, whole.stacks, strict=True):
            for number, block in enumerate(old):
                new[number] = block
    return fixed(whole, 0.0)


def made(net: Synthesis, latents: Tensor, spread: Tensor, kernels: Tensor) -> Tensor:
    """Pictures of (N, 256, h, w) latents in grey levels: (N, 1, 16 h, 16 w), by 64."""
    linear = F.conv_transpose2d(latents, kernels, stride=BLOCK) / UNIT
    return linear + net(latents / spread, linear, latents.new_zeros(len(latents))).float()


def fit(
    nets: nn.ModuleDict,
    learnt: latent_bank.Bank,
    watched: latent_bank.Bank,
    features: nn.Module,
    spread: Tensor,
    schedule: Schedule,
    folder: Path | None = None,
) -> pd.DataFrame:
    """Train painter and critic in turn, in place.

    Parameters
    ----------
    nets : torch.nn.ModuleDict
        ``painter`` and ``critic``.
    learnt, watched : Bank
    features : torch.nn.Module
        See `helpers.perceptual.network`.
    spread : (256, 1, 1) tensor
    schedule : Schedule
        Of epochs of `STEPS` steps.
    folder : pathlib.Path, optional
        For checkpoints.

    Returns
    -------
    pandas.DataFrame
        A row an epoch: epoch, squared, lpips, believed (means of the parts of the loss), critic,
        seconds; where measured held_out_loss (LPIPS) and held_out_squared.
    """
    device = "cuda" if torch.cuda.is_available() else "cpu"
    nets.to(device, memory_format=torch.channels_last).train()
    features, spread, kernels = features.to(device), spread.to(device), cosines().to(device)
    for values in features.parameters():
        values.requires_grad_(False)
    adam = {"lr": schedule.learning_rate, "betas": (0.5, 0.99)}
    optimisers = [torch.optim.Adam(nets[name].parameters(), **adam) for name in nets]
    rows = taken_up(folder, nets, optimisers)
    chance = np.random.default_rng((schedule.seed, len(rows)))
    begin = time.perf_counter()
    for epoch in range(len(rows), schedule.epochs):
        began, total = time.perf_counter(), np.zeros(4)
        for step in range(STEPS):
            done = (epoch + step / STEPS) / schedule.epochs
            for optimiser in optimisers:
                rate = schedule.learning_rate * min(1, (1 - done) / DECAY)
                optimiser.param_groups[0]["lr"] = rate
            latents, pictures_ = (part.to(device) for part in learnt.draw(schedule.batch, chance))
            total += turn(nets, optimisers, features, latents, pictures_, spread, kernels)
        parts = dict(
            zip(("squared", "lpips", "believed", "critic"), (total / STEPS).tolist(), strict=True)
        )
        row = {"epoch": epoch + 1, **parts, "seconds": time.perf_counter() - began}
        last = epoch + 1 == schedule.epochs
        if last or (epoch + 1) % schedule.measure_every == 0:
            row |= _measured(nets["painter"], watched, features, spread, kernels)
        rows.append(row)
        live(f"epoch {epoch + 1}/{schedule.epochs} LPIPS {row['lpips']:.4f}")
        if last or (epoch + 1) % schedule.checkpoint_every == 0:
            keep(folder, nets, optimisers, rows)
        if schedule.minutes is not None and time.perf_counter() - begin > 60 * schedule.minutes:
            break
    live("")
    nets.eval()
    return pd.DataFrame(rows)


def turn(nets, optimisers, features, latents, real, spread, kernels) -> np.ndarray:
    """One step of the painter, then one of the critic; the parts of both losses."""
    painter_, critic = nets["painter"], nets["critic"]
    told = latents / spread
    with torch.autocast(latents.device.type, torch.bfloat16):
        painted = made(painter_, latents, spread, kernels)
        squared = SQUARED * UNIT**2 * (painted - real).square().mean()
        distance = features(_three(painted), _three(real)).float().mean()
        believed = BELIEVED * F.softplus(-critic(painted, told).float()).mean()
    optimisers[0].zero_grad()
    (squared + distance + believed).backward()
    optimisers[0].step()
    with torch.autocast(latents.device.type, torch.bfloat16):
        both = critic(torch.cat([real, painted.detach()]), torch.cat([told, told])).float()
        verdict, doubt = both.chunk(2)
        wrong = F.softplus(-verdict).mean() + F.softplus(doubt).mean()
    optimisers[1].zero_grad()
    wrong.backward()
    optimisers[1].step()
    return np.array([float(part.detach()) for part in (squared, distance, believed, wrong)])


@torch.no_grad()
def _measured(net, watched, features, spread, kernels) -> dict[str, float]:
    """Mean LPIPS and squared error, in grey levels, of whole held-out films."""
    found = []
    for latents, real in watched.whole():
        latents, real = latents.to(spread.device), real.to(spread.device)
        painted = made(net, latents, spread, kernels)
        error = UNIT**2 * (painted - real).square().mean()
        found.append((float(features(_three(painted), _three(real)).mean()), float(error)))
    distance, squared = np.mean(found, 0).tolist()
    return {"held_out_loss": distance, "held_out_squared": squared}


def _three(pictures: Tensor) -> Tensor:
    """Grey levels less 128, by 64, as LPIPS takes them: three channels, from -1 to 1."""
    return (pictures / 2).clamp(-1, 1).expand(-1, 3, -1, -1)
