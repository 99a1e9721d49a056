"""The classifier of Hwang and Woo (2023): ResNet50, almost frozen, and six linear layers.

What was learnt on ImageNet stays: of the body only the scale and the shift of each BatchNorm
are trained, and its running statistics follow the mammograms. Weights come from
`helpers.imagenet`, training from `helpers.experiments.ldm_mammo.classifier`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor, nn

HEAD = (1024, 512, 256, 128, 32, 1)  # after the 2048 features
_BODY = "body."


@dataclass(frozen=True)
class Variant:
    """What two sets of ResNet50 weights may disagree on beside their values.

    Parameters
    ----------
    mean, std : three floats
        Of the colours red, green and blue of images in [0, 1]; the body sees
        ``(image - mean) / std``.
    eps : float
        Added to the variance by every BatchNorm.
    stride_in_1x1 : bool
        Whether a block that halves the image does so in its first 1x1 convolution, as the
        first publication of the network has it, and not in its 3x3 convolution as torchvision.
    """

    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    eps: float = 1e-5
    stride_in_1x1: bool = False

    def tensors(self) -> dict[str, Tensor]:
        """The variant as entries of a state: ``mean``, ``std``, ``eps``, ``stride_in_1x1``."""
        return {
            "mean": torch.tensor(self.mean),
            "std": torch.tensor(self.std),
            "eps": torch.tensor(self.eps),
            "stride_in_1x1": torch.tensor(float(self.stride_in_1x1)),
        }

    @classmethod
    def of(cls, state: Mapping[str, Tensor]) -> "Variant":
        """Read a variant from a state; what the state does not say is as in torchvision."""
        # a file may have made a list of one value out of a single value
        told = {key: state[key].float().flatten() for key in cls().tensors() if key in state}
        values = {key: tuple(told[key].tolist()) for key in ("mean", "std") if key in told}
        if "eps" in told:
            values["eps"] = float(told["eps"])
        if "stride_in_1x1" in told:
            values["stride_in_1x1"] = bool(told["stride_in_1x1"])
        return cls(**values)


class Classifier(nn.Module):
    """Body, global average pooling and head: one logit an image.

    With ResNet50 it has 26,299,393 parameters, of which 2,844,481 are trained: 53,120 in the
    BatchNorms of the body and 2,791,361 in the head. The network returns logits and leaves the
    paper's last sigmoid to `probabilities`: the cross-entropy of a logit stays finite and exact
    where a sigmoid in single precision has already become 0 or 1, and its order is kept.

    Parameters
    ----------
    body : torch.nn.Module
        Maps (N, 3, H, W) to pooled features (N, F).
    features : int
        F; 2048 for ResNet50.
    variant : Variant
    dropout : float
        Share of values dropped before each linear layer but the first; 0 is the paper's head.
    """

    def __init__(self, body: nn.Module, features: int, variant: Variant, dropout: float = 0.0):
        super().__init__()
        self.body, self.head = body, head(features, dropout)
        for name, values in variant.tensors().items():
            self.register_buffer(name, values)
        for parameter in body.parameters():
            parameter.requires_grad_(False)
        for layer in _norms(body):
            layer.eps = variant.eps
            layer.requires_grad_(True)

    def forward(self, image: Tensor) -> Tensor:
        """Logits of a batch.

        Parameters
        ----------
        image : (N, 1, H, W) float tensor in [0, 1]
            Grey values over their largest possible one, 255 or 65,535.

        Returns
        -------
        (N,) float tensor
        """
        colours = (image - self.mean[:, None, None]) / self.std[:, None, None]
        return self.head(self.body(colours)).squeeze(1)


def head(features: int, dropout: float = 0.0) -> nn.Sequential:
    """Linear layers features-1024-512-256-128-32-1 with ReLU between them.

    Weights start as He et al. propose for ReLU: as PyTorch starts them by itself, six layers
    would shrink the signal so much that all logits begin the same.

    Parameters
    ----------
    features : int
    dropout : float
        The layers are there at 0 too, so that the names of the weights do not depend on it.
    """
    layers: list[nn.Module] = []
    for before, after in zip((features, *HEAD), HEAD, strict=False):
        linear = nn.Linear(before, after)
        nn.init.kaiming_normal_(linear.weight, nonlinearity="relu" if after > 1 else "linear")
        nn.init.zeros_(linear.bias)
        layers += [linear, nn.ReLU(), nn.Dropout(dropout)]
    return nn.Sequential(*layers[:-2])


def resnet50(stride_in_1x1: bool = False) -> nn.Module:
    """Torchvision's ResNet50 up to its 2048 pooled features, untrained, 23,508,032 parameters.

    Parameters
    ----------
    stride_in_1x1 : bool
        See `Variant`.
    """
    from torchvision import models

    body = models.resnet50(weights=None)
    body.fc = nn.Identity()
    if stride_in_1x1:
        for stage in (body.layer2, body.layer3, body.layer4):
            stage[0].conv1.stride, stage[0].conv2.stride = (2, 2), (1, 1)
    return body


def build(
    state: Mapping[str, Tensor] | None = None,
    *,
    dropout: float = 0.0,
    body: nn.Module | None = None,
    features: int = 2048,
) -> Classifier:
    """Make a classifier from nothing, from the weights of a body or from its own state.

    Parameters
    ----------
    state : mapping of str to tensor, optional
        The state of a classifier, or that of a body in torchvision's layout, beside which
        the entries of `Variant.tensors` may stand; a last layer ``fc`` for ImageNet's
        classes is left out.
    dropout : float
        From 0 up to, but not including, 1.
    body : torch.nn.Module, optional
        Takes the place of ResNet50; the classifier uses it and does not copy it.
    features : int
        What the body returns for an image.

    Returns
    -------
    Classifier
        On the CPU, in training mode, its body frozen but for BatchNorm.

    Raises
    ------
    ValueError
        If the state belongs to another network or `dropout` is out of range.
    """
    if not 0 <= dropout < 1:
        raise ValueError(f"Dropout is a share from 0 to below 1, not {dropout}.")
    state = dict(state or {})
    variant = Variant.of(state)
    own_body = resnet50(variant.stride_in_1x1) if body is None else body
    model = Classifier(own_body, features, variant, dropout)
    if not state:
        return model
    try:
        if any(name.startswith(_BODY) for name in state):
            model.load_state_dict(state)
        else:
            told = variant.tensors().keys() | {"fc.weight", "fc.bias"}
            model.body.load_state_dict({k: v for k, v in state.items() if k not in told})
    except RuntimeError as error:
        first = str(error).splitlines()[1:2] or [str(error)]
        raise ValueError(
            f"These weights do not fit the classifier ({first[0].strip()[:200]}); build it with "
            "the body that they were trained with."
        ) from error
    return model


def trainable(model: nn.Module) -> dict[str, nn.Parameter]:
    """Parameters that training changes, by name: BatchNorm's scales and shifts, and the head."""
    return {name: value for name, value in model.named_parameters() if value.requires_grad}


def learnt(model: nn.Module) -> dict[str, Tensor]:
    """Copies of what training changes: all of a state but the frozen weights, on the CPU.

    A ninth of the state (12 MB) says all that a training found. Joined to the state of a
    classifier built from the same ImageNet weights, ``{**before, **learnt}``, it is whole again.
    """
    frozen = {name for name, value in model.named_parameters() if not value.requires_grad}
    return {
        name: value.detach().cpu().clone().contiguous()
        for name, value in model.state_dict().items()
        if name not in frozen
    }


def probabilities(logits: Tensor) -> Tensor:
    """Probability of the positive class, the sigmoid at the end of the paper's head."""
    return torch.sigmoid(logits)


def _norms(body: nn.Module) -> list[nn.BatchNorm2d]:
    return [layer for layer in body.modules() if isinstance(layer, nn.BatchNorm2d)]
