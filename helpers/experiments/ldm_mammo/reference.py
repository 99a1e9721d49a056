"""The reference run: everything the chapter measures, on all films at hand, kept as JSON."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import pandas as pd

from helpers import imagenet, upscalers, weights
from helpers.codecs.shrink import ShrinkCodec
from helpers.experiments import results
from helpers.experiments.ldm_mammo import diagnosis, keeping, stages, task, versions
from helpers.experiments.ldm_mammo import measurements as m
from helpers.experiments.ldm_mammo.classifier import Settings
from helpers.upscalers import own

FILE = results.FOLDER / "ldm-mammography.json"
COMMAND = "python -m helpers reference ldm-mammography"
WEIGHTS = ("superres", own.VAE, own.UNET, own.BEFORE)
PATCH = 256  # side of the patches with and without lesions, in pixels


@dataclass(frozen=True)
class Scale:
    """How much is measured.

    Parameters
    ----------
    films : int, optional
        At most this many of the source, of all sides together.
    measured : int
        Test films that every upscaler restores.
    patches : int
        Of the detection task, all sides together.
    epochs : int
        Of each of the five classifiers, 50 as in the paper.
    trials : int
        Of the search for their settings.
    """

    films: int | None = None
    measured: int = 60
    patches: int = 500
    epochs: int = 50
    trials: int = 20


@dataclass(frozen=True)
class _Given:
    """What a run works on."""

    parts: versions.Parts
    positive: str
    patches: task.Task
    upscaler: upscalers.Upscaler
    hashes: Mapping[str, str]
    state: Mapping
    origin: str

    @classmethod
    def of(cls, sources: Sequence[str], scale: Scale) -> "_Given":
        """Load everything, so that whatever is missing is missed before long measuring."""
        hashes = {name: weights.sha256(name).hex() for name in WEIGHTS}
        if len(sources) != 1:
            raise ValueError(
                "The reference run takes one source of films with diagnoses, not "
                f"{len(sources)}; give one alone."
            )
        parts = diagnosis.parts(sources[0], limit=scale.films)
        for side, part in zip(stages.SIDES, parts, strict=True):
            if len(set(part.labels)) != 2:
                raise ValueError(
                    f"The {side} films of '{sources[0]}', {len(part)} of them, lack a class; take "
                    "more films, or another source."
                )
        found = upscalers.find(download=False)
        patches = task.detection("open-pack", side=PATCH, count=scale.patches, strength=1)
        positive = diagnosis.POSITIVE[sources[0]]
        return cls(parts, positive, patches, found, hashes, *imagenet.resnet50())


def run(
    sources: Sequence[str], checkpoints: Path | None = None, file: Path = FILE, **asked: int
) -> Path:
    """Measure the shipped weights, train the classifiers and write the result.

    Parameters
    ----------
    sources : sequence of str
        One source of mammograms with diagnoses; see `diagnosis.parts`.
    checkpoints : pathlib.Path, optional
        Folder for what is finished: a run that was interrupted goes on from it. It knows the
        paper's own upscaler by name only: take another folder after its fine-tuning.
    file : pathlib.Path
        Where the JSON file goes.
    **asked : int
        Fields of `Scale` that are not to have their default.

    Returns
    -------
    pathlib.Path
        The file.

    Raises
    ------
    DataError
        If weights or films are not at hand, or the films have no diagnoses.
    ValueError
        If there is more than one source, or a side of the films lacks a class.
    """
    scale = Scale(**asked)
    given = _Given.of(sources, scale)
    done = _stages(given, scale, checkpoints)
    tables = {name: table for made, _ in done.values() for name, table in made.items()}
    (settings,) = tables.pop("settings").to_dict("records")
    used = dict(zip(stages.SIDES, given.parts, strict=True)) | {"patches": given.patches.test}
    # where checkpoints lie changes no result and is nobody's business
    options = {"source": sources[0], **asked}
    words = [COMMAND, *(f"--{name} {value}" for name, value in options.items())]
    result = {
        **results.header("ldm-mammography", " ".join(words)),
        "scale": asdict(scale),
        "weights_sha256": given.hashes,
        "upscaler": {"name": given.upscaler.name, "why": given.upscaler.why},
        "imagenet": given.origin,
        "settings": settings,
        "seconds": {name: round(seconds, 1) for name, (_, seconds) in done.items()},
        "images": [results.images(images, side) for side, images in used.items()],
        "tables": {name: results.rows(table) for name, table in tables.items()},
    }
    return results.write(result, file)


def _stages(
    given: _Given, scale: Scale, folder: Path | None
) -> dict[str, tuple[keeping.Tables, float]]:
    """Tables and seconds of each stage, those read that an earlier run has finished."""
    parts, positive, patches = given.parts, given.positive, given.patches
    some, name = parts[2].spread(scale.measured), given.upscaler.name
    labels = {**m.models(given.upscaler), m.BEFORE: upscalers.GENERAL}
    told, models = [keeping.told(part) for part in parts], [labels, given.hashes]
    stage = partial(keeping.tables, folder)
    done = {
        "sizes": stage("sizes", told, lambda: stages.sizes(parts)),
        "quality": stage(
            "quality", [keeping.told(some), models], lambda: stages.quality(some, labels)
        ),
        "rates": stage(
            "rates", [keeping.told(patches.test), models], lambda: stages.rates(patches, labels)
        ),
        "search": stage(
            "search",
            [told[:2], given.origin, scale.trials, scale.epochs],
            lambda: stages.search(parts, positive, scale.trials, scale.epochs, given.state, folder),
        ),
    }
    (found,) = done["search"][0]["settings"].to_dict("records")
    done["scores"] = stage(
        "scores",
        [told, given.origin, name, ShrinkCodec(model=name).weights_hash.hex(), found],
        lambda: stages.scores(parts, positive, name, Settings(**found), given.state, folder),
    )
    return done


def load(file: Path = FILE) -> dict[str, pd.DataFrame]:
    """Tables of the reference run by name.

    They are ``cohort``, ``sizes``, ``quality``, ``rates``, ``trials``, ``scores``, ``history``.
    """
    return results.tables(facts(file))


def facts(file: Path = FILE) -> dict:
    """Return the whole reference result, with the command, device and versions behind it."""
    return results.read(file, COMMAND)
