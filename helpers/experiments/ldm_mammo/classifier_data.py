"""What a training of the classifier reads: labelled images and its own checkpoints."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from helpers.data import ImageSet
from helpers.errors import DataError


@dataclass(frozen=True)
class Examples:
    """Images of one size with their classes.

    Parameters
    ----------
    images : (N, H, W) uint8 or uint16 array
    labels : (N,) array of 0 and 1
        Both occur.
    """

    images: np.ndarray
    labels: np.ndarray

    def __post_init__(self):
        check(self.images)
        if np.shape(self.labels) != self.images.shape[:1] or set(np.unique(self.labels)) != {0, 1}:
            raise ValueError(
                f"{len(self.images)} images need as many labels 0 or 1, and both of them; take "
                "more images or another split."
            )

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    @classmethod
    def of(cls, images: ImageSet, positive: str) -> "Examples":
        """Take the images of a set, with the class of this name as the positive one.

        Parameters
        ----------
        images : ImageSet
            Of one size, labelled with two classes.
        positive : str
            For example ``"MALIGNANT"``.

        Raises
        ------
        ValueError
            If an image has no label, or there are more or fewer than two classes.
        """
        classes = set(images.labels)
        if positive not in classes or len(classes) != 2 or "" in classes:
            raise ValueError(
                f"A classifier needs the class '{positive}' and one other, not "
                f"{', '.join(map(repr, sorted(classes)))}; choose images that have a label."
            )
        return cls(images.stack(), np.array([label == positive for label in images.labels], int))


class Resident:
    """Images on a device in their own bits, which become floats batch by batch.

    Parameters
    ----------
    images : (N, H, W) uint8 or uint16 array
    device : torch.device
    """

    def __init__(self, images: np.ndarray, device: torch.device):
        check(images)
        self.peak = int(np.iinfo(images.dtype).max)
        # few operations of PyTorch take uint16: its bits travel as int16
        bits = images.view(np.int16) if images.dtype == np.uint16 else images
        self.images = torch.from_numpy(np.require(bits, requirements="CW")).to(device)

    def __len__(self) -> int:
        """Return the number of images."""
        return len(self.images)

    def batch(self, chosen: Tensor | slice) -> Tensor:
        """Chosen images over their largest possible value.

        Parameters
        ----------
        chosen : slice or (n,) int64 tensor

        Returns
        -------
        (n, 1, H, W) float32 tensor in [0, 1]
            Channels last.
        """
        values = (self.images[chosen].int() & self.peak).float() / self.peak
        return values[:, None].contiguous(memory_format=torch.channels_last)


def check(images: np.ndarray) -> None:
    """Raise a ValueError unless these are grey images of 8 or 16 bits, in one array."""
    if images.ndim != 3 or images.dtype not in (np.uint8, np.uint16) or not len(images):
        raise ValueError(
            f"Images are an (N, H, W) array of uint8 or uint16, not {images.shape} of "
            f"{images.dtype}."
        )


def key_of(*parts: object) -> str:
    """Name that only a run with these settings, images and first weights has.

    Parameters
    ----------
    *parts : Settings, Examples or torch.nn.Module

    Returns
    -------
    str
        64 hexadecimal digits.
    """
    digest = hashlib.sha256()
    for part in parts:
        for item in _pieces(part):
            digest.update(item)
    return digest.hexdigest()


def _pieces(part: object) -> Iterator[bytes]:
    if isinstance(part, Examples):
        yield f"{part.images.shape} {part.images.dtype.str}".encode()
        yield np.ascontiguousarray(part.images).data
        yield np.asarray(part.labels, np.uint8).tobytes()
    elif isinstance(part, nn.Module):
        for name, value in part.state_dict().items():
            yield name.encode() + value.cpu().numpy().tobytes()
    else:
        yield json.dumps(asdict(part), sort_keys=True).encode()


def read_checkpoint(file: Path) -> tuple[dict[str, dict[str, Tensor]], dict[str, str]]:
    """Read the parts ``model``, ``best`` and ``adam`` of a checkpoint, and its facts.

    Parameters
    ----------
    file : pathlib.Path

    Returns
    -------
    parts : dict of str to dict of str to tensor
    facts : dict of str to str

    Raises
    ------
    DataError
        If it is damaged.
    """
    from safetensors import SafetensorError, safe_open

    parts: dict[str, dict[str, Tensor]] = {"model": {}, "best": {}, "adam": {}}
    try:
        with safe_open(file, "pt") as stored:
            for name in stored.keys():  # noqa: SIM118
                part, _, rest = name.partition(".")
                parts[part][rest] = stored.get_tensor(name)
            return parts, stored.metadata() or {}
    except (SafetensorError, KeyError, OSError) as error:
        raise DataError(
            f"The checkpoint {file} cannot be read ({error}); delete it to begin anew."
        ) from error
