"""A small CBIS-DDSM: tables and DICOM files as The Cancer Imaging Archive publishes them."""

import csv
import io

import numpy as np
import pydicom
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from helpers.data.cbis_ddsm import TABLES, part_of
from helpers.data.readers import write_image

COLUMNS = (
    "patient_id",
    "breast_density",
    "left or right breast",
    "image view",
    "abnormality id",
    "abnormality type",
    "mass shape",
    "mass margins",
    "assessment",
    "pathology",
    "subtlety",
    "image file path",
    "cropped image file path",
    "ROI mask file path",
)
# part, patient, side, view, number of the mass, pathology
MASSES = [
    ("train", "P_00001", "LEFT", "CC", 1, "MALIGNANT"),
    ("train", "P_00001", "LEFT", "MLO", 1, "MALIGNANT"),
    ("train", "P_00004", "LEFT", "MLO", 1, "BENIGN"),
    ("train", "P_00004", "RIGHT", "MLO", 1, "BENIGN_WITHOUT_CALLBACK"),
    ("train", "P_00004", "RIGHT", "MLO", 2, "MALIGNANT"),
    ("train", "P_00004", "RIGHT", "MLO", 3, "BENIGN"),
    ("test", "P_00016", "LEFT", "CC", 1, "BENIGN_WITHOUT_CALLBACK"),
    ("test", "P_00016", "LEFT", "MLO", 2, "BENIGN"),
]
LABELS = {
    "Mass-Test_P_00016_LEFT_CC": "BENIGN",
    "Mass-Training_P_00001_LEFT_CC": "MALIGNANT",
    "Mass-Test_P_00016_LEFT_MLO": "BENIGN",
    "Mass-Training_P_00004_LEFT_MLO": "BENIGN",
    "Mass-Training_P_00001_LEFT_MLO": "MALIGNANT",
    "Mass-Training_P_00004_RIGHT_MLO": "MALIGNANT",
}
PREFIXES = {"train": "Mass-Training", "test": "Mass-Test"}
ONE = "Mass-Training_P_00001_LEFT_CC"


def pixels(film):
    """Make each film's own 16-bit picture, 9 rows taller than wide."""
    seed = list(LABELS).index(film)
    return np.random.default_rng(seed).integers(0, 65536, (25, 16)).astype(np.uint16)


def dicom(path, image, description="full mammogram images", **tags):
    """Write a DICOM file; the folder of the film gives the patient's tags, as in the archive."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta[0x20002].value, meta[0x20003].value
    dataset.Modality, dataset.SamplesPerPixel = "MG", 1
    dataset.PatientID, dataset.PatientName = path.parts[-4], path.parts[-4]
    if description is not None:
        dataset.SeriesDescription = description
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = image.shape
    dataset.BitsAllocated = dataset.BitsStored = 8 * image.itemsize
    dataset.HighBit, dataset.PixelRepresentation = dataset.BitsStored - 1, 0
    for key, value in tags.items():
        setattr(dataset, key, value)
    dataset.PixelData = image.tobytes()
    dataset["PixelData"].VR = "OW"
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(buffer.getvalue())


def row(part, patient, side, view, mass, pathology):
    """Cells of one mass."""
    film = f"{PREFIXES[part]}_{patient}_{side}_{view}"
    paths = [f"{film}/1.3.6.1/1.3.6.2/000000.dcm", f"{film}_{mass}/1.3.6.3/1.3.6.4/000000.dcm"]
    paths.append(paths[1].replace("000000", "000001") + "\n")  # as in the published tables
    about = ["IRREGULAR", "SPICULATED", 4, pathology, 5]
    return [patient, 3, side, view, mass, "mass", *about, *paths]


def write_tables(folder, masses=MASSES, columns=COLUMNS):
    """Write the tables of both parts, a mass a row."""
    folder.mkdir(parents=True, exist_ok=True)
    for part, name in TABLES.items():
        with (folder / name).open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(columns)
            writer.writerows(row(*mass) for mass in masses if mass[0] == part)


def write_official(folder):
    """Write tables, the whole films, and crops and masks of one in a folder of their own."""
    write_tables(folder)
    for film in LABELS:
        dicom(folder / "CBIS-DDSM" / film / "1.3.6.1" / "1.3.6.2" / "1-1.dcm", pixels(film))
    crops = folder / "CBIS-DDSM" / f"{ONE}_1" / "1.3.6.3" / "1.3.6.4"
    dicom(crops / "1-1.dcm", np.full((4, 4), 9, np.uint8), "ROI mask images")
    dicom(crops / "1-2.dcm", np.full((4, 4), 9, np.uint16), "cropped images")


def write_reduced(folder):
    """Write tables whose columns have underscores, and a PNG a film in the folder of its part."""
    write_tables(folder, columns=[name.replace(" ", "_") for name in COLUMNS])
    for film in LABELS:
        path = folder / part_of(film) / f"{film}.png"
        path.parent.mkdir(exist_ok=True)
        write_image(path, reduced_pixels(film))
    (folder / "SOURCE.txt").write_text("where from", encoding="utf-8")


def reduced_pixels(film):
    """Square 8-bit picture of a film."""
    return (pixels(film)[:16] >> 8).astype(np.uint8)
