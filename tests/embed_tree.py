"""A small EMBED: rows of its two tables, and films as the tables give them."""

from pathlib import Path

import pandas as pd

from helpers.data.embed_tables import CLINICAL, METADATA, Film

BASE = "/mnt/store/anon/cohort_1"  # tables name files as they lay where the tables were made


def finding(exam="e1", side="L", asses="N", biopsy="", **other):
    """One row of the clinical table; exams are on 1 January 2017."""
    row = {
        "empi_anon": "p" + exam[1:],
        "acc_anon": exam,
        "study_date_anon": "2017-01-01",
        "numfind": "1",
        "desc": "MG Diagnostic Bilateral w/ CAD",
        "side": side,
        "asses": asses,
        "bside": "",
        "procdate_anon": biopsy,
        "RACE_DESC": "withheld",
    }
    return row | other


def image(exam="e1", side="L", view="CC", **other):
    """One row of the metadata table."""
    patient = "p" + exam[1:]
    row = {
        "empi_anon": patient,
        "acc_anon": exam,
        "study_date_anon": "2016-12-31",
        "anon_dicom_path": f"{BASE}/{patient}/1.2.20170101/1.3/{exam}{side}{view}.dcm",
        "FinalImageType": "2D",
        "ImageLateralityFinal": side,
        "ViewPosition": view,
        "spot_mag": "",
        "PatientSex": "F",
    }
    return row | other


def write(folder, findings, images):
    """Write both tables where the release has them."""
    (folder / "tables").mkdir(parents=True, exist_ok=True)
    pd.DataFrame(findings).to_csv(folder / "tables" / CLINICAL)
    pd.DataFrame(images).to_csv(folder / "tables" / METADATA)
    return folder


def films_of(patient, label, exams=1, sides="L", views=("CC", "MLO")):
    """Films of one patient whose breasts are all of one kind."""
    return [
        Film(f"{patient}_{exam}_{side}_{view}", patient, f"{exam}", side, view, label, Path())
        for exam in range(exams)
        for side in sides
        for view in views
    ]
