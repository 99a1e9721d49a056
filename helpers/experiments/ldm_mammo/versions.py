"""Five versions of the same images, a classifier for each, and what their scores are worth.

The paper trains on the source images, on those restored from half and from a quarter of the
size, and on the small images as they are; its Table 4 and figures 2 and 3 compare the five.
"""

import copy
from collections.abc import Mapping
from typing import TYPE_CHECKING

import pandas as pd

from helpers import roc
from helpers.codecs.shrink import FACTORS, ShrinkCodec
from helpers.data import ImageSet
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
    large = {f"{n}x restored": restored(images, ShrinkCodec(n, model)) for n in FACTORS}
    small = {f"1/{n} size": shrink(images, n) for n in FACTORS}
    return {SOURCE: images, **large, **small}


def scores(
    parts: Parts,
    positive: str,
    model: str,
    settings: "Settings",
    *,
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
    state, body, features
        As `helpers.experiments.ldm_mammo.classifier.fit` takes them.

    Returns
    -------
    scores : pandas.DataFrame
        A row a version and test image: version, image_id, patient_id, positive (bool), score.
    history : pandas.DataFrame
        The rows of `fit`, with a column ``version``.
    """
    from helpers.experiments.ldm_mammo import classifier
    from helpers.experiments.ldm_mammo.classifier_data import Examples
    from helpers.models import resnet

    of_parts = [versions(part, model) for part in parts]
    rows, histories = [], []
    for version in of_parts[0]:
        train, validation, test = (part[version] for part in of_parts)
        examples = (Examples.of(part, positive) for part in (train, validation))
        best, history = classifier.fit(
            *examples, settings, state=state, body=body, features=features, description=version
        )
        # a copy: the next version's classifier must not begin where this one ended
        network = resnet.build(best, body=copy.deepcopy(body), features=features)
        rows.append(
            pd.DataFrame(
                {
                    "version": version,
                    "image_id": test.ids,
                    "patient_id": test.patients,
                    "positive": [label == positive for label in test.labels],
                    "score": classifier.scores(network, test.stack()),
                }
            )
        )
        histories.append(history.assign(version=version))
    return pd.concat(rows, ignore_index=True), pd.concat(histories, ignore_index=True)


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
