"""Five versions of the same images, a classifier for each, and what their scores are worth.

The paper trains on the source images, on those restored from half and from a quarter of the
size, and on the small images as they are; its Table 4 and figures 2 and 3 compare the five.
"""

import copy
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from helpers import roc
from helpers.codecs.shrink import FACTORS, ShrinkCodec
from helpers.data import ImageSet
from helpers.experiments.ldm_mammo import keeping
from helpers.experiments.ldm_mammo.measurements import restored
from helpers.experiments.ldm_mammo.shrink import shrink

if TYPE_CHECKING:
    from torch import Tensor, nn

    from helpers.experiments.ldm_mammo.classifier import Settings

SOURCE = "source"
STATISTICS = {
    "AUC": roc.auc,
    "accuracy": roc.accuracy,
    "precision": roc.precision,
    "recall": roc.recall,
}
Parts = tuple[ImageSet, ImageSet, ImageSet]


def versions(images: ImageSet, model: str) -> dict[str, ImageSet]:
    """One set in the paper's five versions.

    Parameters
    ----------
    images : ImageSet
        Sides are multiples of 4.
    model : str
        Upscaler that restores, a name of `helpers.upscalers`.

    Returns
    -------
    dict of str to ImageSet
        ``"source"``, ``"2x restored"``, ``"4x restored"``, ``"1/2 size"``, ``"1/4 size"``.
    """
    return {version: make(images) for version, make in _makers(model, None).items()}


def scores(
    parts: Parts,
    positive: str,
    model: str,
    settings: "Settings",
    *,
    folder: Path | None = None,
    state: "Mapping[str, Tensor] | None" = None,
    body: "nn.Module | None" = None,
    features: int = 2048,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Train a classifier on each version and let it judge the test images of that version.

    Parameters
    ----------
    parts : train, validation, test
        Of different women.
    positive : str
        Label of the positive class.
    model : str
        Upscaler that restores.
    settings : helpers.experiments.ldm_mammo.classifier.Settings
    folder : pathlib.Path, optional
        Keeps restored images, trainings epoch by epoch and the scores of each version: a run
        that was interrupted goes on.
    state, body, features
        As `helpers.experiments.ldm_mammo.classifier.fit` takes them.

    Returns
    -------
    scores : pandas.DataFrame
        A row a version and test image: version, image_id, patient_id, positive (bool), score.
    history : pandas.DataFrame
        The rows of `fit`, with a column ``version``.
    """
    network = {"state": state, "body": body, "features": features}
    depends = [] if folder is None else _depends(parts, positive, model, settings, network)
    found = []
    for version, make in _makers(model, folder).items():
        slug = _slug(version)
        place = None if folder is None else folder / f"{slug}-{keeping.key(depends)}"
        work = partial(_judged, version, make, parts, positive, settings, place, network)
        found.append(keeping.tables(folder, slug, depends, work)[0])
    return tuple(
        pd.concat([tables[name] for tables in found], ignore_index=True)
        for name in ("scores", "history")
    )


def _judged(
    version: str,
    make: Callable[[ImageSet], ImageSet],
    parts: Parts,
    positive: str,
    settings: "Settings",
    folder: Path | None,
    network: Mapping,
) -> keeping.Tables:
    """Scores and history of one version, which is made only now: five at once are too large."""
    from helpers.experiments.ldm_mammo import classifier
    from helpers.experiments.ldm_mammo.classifier_data import Examples
    from helpers.models import resnet

    train, validation, test = map(make, parts)
    examples = (Examples.of(part, positive) for part in (train, validation))
    best, history = classifier.fit(
        *examples, settings, **network, folder=folder, description=version
    )
    # a copy: the next version's classifier must not begin where this one ended
    body = copy.deepcopy(network["body"])
    judge = resnet.build(best, body=body, features=network["features"])
    scores = pd.DataFrame(
        {
            "version": version,
            "image_id": test.ids,
            "patient_id": test.patients,
            "positive": [label == positive for label in test.labels],
            "score": classifier.scores(judge, test.stack()),
        }
    )
    return {"scores": scores, "history": history.assign(version=version)}


def _depends(
    parts: Parts, positive: str, model: str, settings: "Settings", network: Mapping
) -> list:
    """All that the scores depend on, the network's first weights included."""
    import torch

    from helpers.experiments.ldm_mammo.classifier_data import key_of
    from helpers.models import resnet

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(settings.seed)
        first = resnet.build(**{**network, "body": copy.deepcopy(network["body"])})
    told = [keeping.told(part) for part in parts]
    return [positive, model, _weights(model), told, key_of(settings, first)]


def _makers(model: str, folder: Path | None) -> dict[str, Callable[[ImageSet], ImageSet]]:
    """What makes each version of a set; restored images are kept in the folder."""
    large = {f"{n}x restored": partial(_restored, n, model, folder) for n in FACTORS}
    small = {f"1/{n} size": partial(shrink, factor=n) for n in FACTORS}
    return {SOURCE: lambda images: images, **large, **small}


def _restored(factor: int, model: str, folder: Path | None, images: ImageSet) -> ImageSet:
    codec = ShrinkCodec(factor, model)
    if folder is None:
        return restored(images, codec)
    name = f"{factor}x-{_slug(model)}-{_weights(model)}-{images.fingerprint[:16]}.npz"
    return keeping.images(folder / name, lambda: restored(images, codec))


def _weights(model: str) -> str:
    return ShrinkCodec(model=model).weights_hash.hex()


def _slug(text: str) -> str:
    """Text as part of a file's name."""
    return re.sub("[^a-z0-9]+", "-", text.lower())


def table4(judged: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """AUC, accuracy, precision and recall of each version, with the paper's interval and ours.

    Parameters
    ----------
    judged : pandas.DataFrame
        From `scores`.
    seed : int

    Returns
    -------
    pandas.DataFrame
        A row a version, statistic and interval: version, statistic, interval (``"ten images"``,
        the paper's hundred draws of ten, or ``"women"``, a bootstrap over all of them), mean,
        low, high, images, patients.
    """
    rows = []
    for version, part in judged.groupby("version", sort=False):
        labels, values = part["positive"].to_numpy(bool), part["score"].to_numpy()
        for name, statistic in STATISTICS.items():
            found = {
                "ten images": roc.interval_of_ten(labels, values, statistic, seed=seed),
                "women": roc.interval(labels, values, part["patient_id"], statistic, seed=seed),
            }
            rows += [
                {"version": version, "statistic": name, "interval": kind, **interval.as_dict()}
                for kind, interval in found.items()
            ]
    return pd.DataFrame(rows)


def differences(judged: pd.DataFrame) -> pd.DataFrame:
    """Area under the curve of each version less that of the source, by DeLong over women.

    Parameters
    ----------
    judged : pandas.DataFrame
        From `scores`.

    Returns
    -------
    pandas.DataFrame
        version, difference, low, high, p.
    """
    table = judged.pivot(index="image_id", columns="version", values="score")
    facts = judged.drop_duplicates("image_id").set_index("image_id").loc[table.index]
    rows = []
    for version in judged["version"].unique():
        if version != SOURCE:
            found = roc.compare(
                facts["positive"], table[version], table[SOURCE], facts["patient_id"]
            )
            rows.append({"version": version, **vars(found)})
    return pd.DataFrame(rows)
