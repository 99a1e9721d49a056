"""The trainings that `bench train` times, each set up on made-up data of the chapter's own sizes.

Nothing here imports PyTorch or Keras before a job is made: each runs in a process of its own, and
one process does not hold both.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

STEPS = 4  # of an epoch, where a whole `fit` is timed
NEVER = 10**9  # epochs


@dataclass(frozen=True)
class Job:
    """A training that can be timed.

    Parameters
    ----------
    framework : str
    precision : {"float32", "bfloat16"}
        Of the matrix products.
    shape : tuple of int
        Of a batch: pictures, channels, height, width; or pixels and features.
    unit : str
        What a batch is made of.
    parameters : int
        That are trained.
    steps : int
        That are timed together.
    seconds : callable
        ``seconds(n)`` trains n times for so many steps, and returns how long a step took each
        time; the first time is not yet warm.
    operations : callable
        Floating-point operations of the matrix products and convolutions of a step.
    """

    framework: str
    precision: str
    shape: tuple[int, ...]
    unit: str
    parameters: int
    steps: int
    seconds: Callable[[int], list[float]]
    operations: Callable[[], int]


def auto_encoder(side: int | None = None, batch: int | None = None) -> Job:
    """The auto-encoder for brain MRI."""
    from helpers.experiments.cae_mri.training import PAPER, SIZE
    from helpers.models.cae import ConvAutoencoder

    return _fitted(ConvAutoencoder(), PAPER, side or SIZE, batch)


def upscaler(network: str, side: int | None = None, batch: int | None = None) -> Job:
    """A network that enlarges mammograms: "vae", "unet" or "superres"."""
    from helpers.experiments.ldm_mammo.training import RECIPES, SIDE, prepared

    side, schedule = side or SIDE, RECIPES[network]
    task, _ = prepared(network, _noise(8, side))
    return _fitted(task, schedule, side, batch)


def classifier(side: int = 256, batch: int | None = None) -> Job:
    """ResNet50, frozen but for its last layers and BatchNorm, on films of the reference run."""
    import torch

    from helpers.experiments.ldm_mammo.classifier import Run, Settings
    from helpers.models import resnet

    batch = batch or Settings.batch
    run = Run(resnet.build(), Settings(batch=batch))
    run.model.train()
    images = torch.rand(batch, 1, side, side, device=run.device)
    images = images.contiguous(memory_format=torch.channels_last)
    labels = torch.randint(2, (batch,), device=run.device).float()
    count = sum(values.numel() for values in resnet.trainable(run.model).values())
    step = partial(run.step, images, labels)
    return _stepped(step, _precision(), images.shape, "images", count)


def lossless(batch: int | None = None) -> Job:
    """The network that guesses the pixels of the lossless codec."""
    import torch

    from helpers.codecs.causal.scene import FEATURES, LEVELS
    from helpers.experiments.beyond.training import RECIPE, optimisers_of, step_down
    from helpers.models.context import ContextNet

    batch = batch or RECIPE.batch
    net = ContextNet().to(_device()).train()
    optimisers = optimisers_of(net)
    features = torch.randint(-255, 256, (batch, FEATURES), dtype=torch.int16)
    guess, pixel = torch.randint(0, 255 * 16, (batch,)), torch.randint(0, 256, (batch,))
    level, top = torch.randint(LEVELS, (batch,)), torch.full((batch,), 255)
    facts = torch.stack([guess, level, pixel, top], 1).int()
    pool = features.to(_device()), facts.to(_device())
    count = sum(values.numel() for values in net.parameters())
    step = partial(step_down, net, pool, optimisers)
    return _stepped(step, "float32", features.shape, "pixels", count)


def lossy(side: int | None = None, batch: int | None = None) -> Job:
    """The network of the lossy codec."""
    import torch

    from helpers.experiments.beyond.lossy import RECIPE, optimisers_of, step_down
    from helpers.experiments.beyond.pictures import CROP
    from helpers.models.hyperprior.layout import BANDS, MIDDLE
    from helpers.models.hyperprior.network import Hyperprior

    side = side or CROP
    crops = (_noise(batch or RECIPE.batch, side).float() - MIDDLE).to(_device())
    crops = crops.contiguous(memory_format=torch.channels_last)
    net = Hyperprior(torch.full((BANDS,), 60.0))
    net.to(_device(), memory_format=torch.channels_last).train()
    optimisers = optimisers_of(net, RECIPE.learning_rate)
    count = sum(values.numel() for values in net.parameters())
    step = partial(step_down, net, crops, optimisers)
    return _stepped(step, "bfloat16", crops.shape, "crops", count)


def _fitted(task, schedule, side: int, batch: int | None) -> Job:
    """A network that `helpers.train.fit` trains."""
    from helpers.models.cae import count_parameters
    from helpers.train import fit

    schedule = replace(schedule, batch=batch or schedule.batch, measure_every=NEVER, minutes=None)
    images = _noise(STEPS * schedule.batch, side)

    def seconds(count: int) -> list[float]:
        history = fit(task, images, replace(schedule, epochs=count))
        return (history["seconds"] / STEPS).tolist()

    once = replace(schedule, epochs=1)
    return Job(
        "PyTorch",
        _precision(),
        (schedule.batch, 1, side, side),
        "images",
        count_parameters(task),
        STEPS,
        seconds,
        lambda: counted(lambda: fit(task, images[: schedule.batch], once)),
    )


def _stepped(step: Callable, precision: str, shape, unit: str, parameters: int) -> Job:
    """A training whose step can be called."""
    import torch

    wait = torch.cuda.synchronize if torch.cuda.is_available() else (lambda: None)

    def seconds(count: int) -> list[float]:
        found = []
        for _ in range(count):
            wait()
            began = time.perf_counter()
            step()
            wait()
            found.append(time.perf_counter() - began)
        return found

    work = partial(counted, step)
    return Job("PyTorch", precision, tuple(shape), unit, parameters, 1, seconds, work)


def counted(function: Callable) -> int:
    """Operations of all matrix products and convolutions of a call, as PyTorch counts them.

    Forward, backward and, where it has matrix products (Muon), the optimiser; not compiled.

    Parameters
    ----------
    function : callable
        Without arguments.
    """
    import torch
    from torch.utils.flop_counter import FlopCounterMode

    counter = FlopCounterMode(display=False)
    with torch.compiler.set_stance("force_eager"), counter:
        function()
    return counter.get_total_flops()


def _noise(count: int, side: int):
    import torch

    pixels = np.random.default_rng(0).integers(0, 256, (count, 1, side, side), np.uint8)
    return torch.from_numpy(pixels)


def _device() -> str:
    import torch

    return "cuda" if torch.cuda.is_available() else "cpu"


def _precision() -> str:
    """What `helpers.train` and the classifier's training compute in."""
    return "bfloat16" if _device() == "cuda" else "float32"
