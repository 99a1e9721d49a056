"""The linear observer that knows where to look: its answers, and how often it is right.

See `helpers.experiments.ldm_mammo.lesions.template_response` for the answer to one image.
"""

from collections.abc import Mapping

import pandas as pd

from helpers import roc
from helpers.data import ImageSet
from helpers.experiments.ldm_mammo.lesions import PRESENT, Lesion, template_response


def responses(images: ImageSet, lesions: Mapping[str, Lesion], pixel_mm: float) -> pd.DataFrame:
    """What the linear observer answers to each image, at the place it knows.

    Parameters
    ----------
    images : ImageSet
        Originals, or the same decoded.
    lesions : mapping of str to Lesion
        By the images' ids, in pixels of these images.
    pixel_mm : float
        Side of their pixels.

    Returns
    -------
    pandas.DataFrame
        image_id, patient_id, label, kind, contrast (inserted) and response (estimated), a row
        an image.
    """
    facts = zip(images.ids, images.patients, images.labels, images, strict=True)
    return pd.DataFrame(
        [
            {
                "image_id": name,
                "patient_id": patient,
                "label": label,
                "kind": lesions[name].kind,
                "contrast": lesions[name].contrast,
                "response": template_response(image, lesions[name], pixel_mm),
            }
            for name, patient, label, image in facts
        ]
    )


def observer_auc(
    images: ImageSet, lesions: Mapping[str, Lesion], pixel_mm: float
) -> dict[str, float]:
    """How well the linear observer tells patches with a lesion from those without.

    The area under the ROC curve is the share of all pairs, one patch of either class, in
    which the patch with the lesion has the larger response (ties count half). It bounds from
    above what observers of this kind reach who must search for the lesion.

    Parameters
    ----------
    images, lesions, pixel_mm
        See `responses`.

    Returns
    -------
    dict of str to float
        Area, 0 to 1, for each kind of lesion: the contrasts of different kinds do not compare.

    Raises
    ------
    ValueError
        If a kind has patches of one class only.
    """
    areas = {}
    for kind, table in responses(images, lesions, pixel_mm).groupby("kind"):
        present = table["label"] == PRESENT
        if present.all() or not present.any():
            raise ValueError(
                f"All patches of the kind {kind} are of one class, and the area under the ROC "
                "curve compares two; take more patches."
            )
        areas[str(kind)] = roc.auc(present, table["response"])
    return areas
