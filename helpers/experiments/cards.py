"""What every card of trained weights says, and how it is said."""

import datetime
import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import replace

import pandas as pd

from helpers import provenance
from helpers.data import ImageSet
from helpers.schedule import Schedule, describe, throughput

_FEW = 50  # patients that a card lists by name


def facts(images: ImageSet) -> dict:
    """Describe a set of images, with its fingerprint, licence and citation.

    Parameters
    ----------
    images : ImageSet

    Returns
    -------
    dict
        Where there are more than 50 patients, their number stands instead of their ids.
    """
    patients = sorted(set(images.patients))
    return {
        "set": images.name,
        "source": images.source,
        "images": len(images),
        "patients": patients if len(patients) <= _FEW else len(patients),
        "fingerprint": images.fingerprint,
        "licence": images.licence,
        "citation": images.citation,
    }


def key(schedule: Schedule, training: Sequence[ImageSet], *more: object) -> str:
    """Name that only a run with this schedule on these images has, for its checkpoints.

    A limit of minutes is no part of it: a run that reached it goes on when started again.

    Parameters
    ----------
    schedule : Schedule
    training : sequence of ImageSet
    *more
        Whatever else tells runs apart: numbers, strings.
    """
    parts = [
        describe(replace(schedule, minutes=None)),
        *more,
        [images.fingerprint for images in training],
    ]
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()[:16]


def when_and_where() -> dict:
    """Date, device and versions of a run."""
    return {
        "device": provenance.device(),
        "versions": provenance.versions(),
        "date": datetime.date.today().isoformat(),
    }


def fitted(
    schedule: Schedule,
    training: Sequence[ImageSet],
    held_out: Sequence[ImageSet],
    history: pd.DataFrame,
) -> dict:
    """Return what is said of every training: its data, its schedule, where and how fast it ran.

    Parameters
    ----------
    schedule : Schedule
    training, held_out : sequence of ImageSet
        One a source.
    history : pandas.DataFrame
        As the `fit` functions return it.

    Returns
    -------
    dict
        Fields of a card.
    """
    speed = throughput(history, sum(map(len, training)))
    return {
        "schedule": describe(schedule),
        "trained_on": [facts(images) for images in training],
        "held_out": [facts(images) for images in held_out],
        **when_and_where(),
        "fit_seconds": round(float(history["seconds"].sum()), 1),
        "images_per_second": round(speed, 1),
        "history": thinned(history),
    }


def thinned(history: pd.DataFrame) -> list[dict]:
    """Rows in which the held-out images were measured, rounded: enough to draw the curve.

    Parameters
    ----------
    history : pandas.DataFrame
        As the `fit` functions return it.
    """
    rows = history.dropna().drop(columns="seconds")
    return [
        {key: float(f"{value:.6g}") for key, value in row.items()}
        for row in rows.to_dict("records")
    ]


def line(card: Mapping) -> str:
    """What a command says of a network it has trained.

    Parameters
    ----------
    card : mapping
    """
    last = card["history"][-1]
    return (
        f"{card['name']}: {card['images_per_second']} images/s, "
        f"held-out PSNR {last['held_out_psnr']:.2f} dB, {card['bytes']} bytes"
    )
