"""DICOM: the same pixels through every coding, and no name that gets out."""

import dataclasses
import io

import imagecodecs
import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from helpers.data.dicom import read_dicom, to_display, to_units
from helpers.errors import DataError

HTJ2K, JPEGXL = "1.2.840.10008.1.2.4.201", "1.2.840.10008.1.2.4.110"
SECRETS = {
    "PatientName": "Okonkwo^Adaeze",
    "PatientID": "HN-4711-SECRET",
    "PatientBirthDate": "19610704",
    "PatientAddress": "12 Linden Row",
    "ReferringPhysicianName": "Bergstrom^Ulf",
    "InstitutionName": "Saint Elsewhere",
    "StudyDate": "20200229",
    "AccessionNumber": "ACC-998877",
    "StudyDescription": "Chest for Okonkwo",
    "WindowCenterWidthExplanation": "Okonkwo soft tissue",
}


def build(pixels, syntax=ExplicitVRLittleEndian, coded=None, **tags):
    """Bytes of a DICOM file around the given pixels."""
    meta = FileMetaDataset()
    meta.TransferSyntaxUID = syntax
    meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    meta.MediaStorageSOPInstanceUID = generate_uid()
    dataset = Dataset()
    dataset.file_meta = meta
    dataset.SOPClassUID, dataset.SOPInstanceUID = meta[0x20002].value, meta[0x20003].value
    dataset.Rows, dataset.Columns = pixels.shape[-2:]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 8 * pixels.dtype.itemsize
    dataset.PixelRepresentation = int(pixels.dtype.kind == "i")
    dataset.Modality = "CR"
    for key, value in tags.items():
        setattr(dataset, key, value)
    dataset.HighBit = dataset.BitsStored - 1
    dataset.PixelData = encapsulate([coded]) if coded else pixels.tobytes()
    dataset["PixelData"].VR = "OB" if coded or pixels.itemsize == 1 else "OW"
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, dataset, enforce_file_format=True)
    return buffer.getvalue()


def ramp(dtype, top, shape=(13, 17)):
    return np.linspace(0, top, np.prod(shape)).astype(dtype).reshape(shape)


@pytest.mark.parametrize("dtype, top", [("uint8", 255), ("uint16", 65535), ("int16", 32767)])
def test_uncompressed_pixels_come_back(dtype, top):
    pixels = ramp(dtype, top) - (np.int16(1000) if dtype == "int16" else 0)
    pixels = pixels.astype(dtype)
    read, info = read_dicom(build(pixels))
    np.testing.assert_array_equal(read, pixels)
    assert read.dtype == pixels.dtype and info.signed == (dtype == "int16")


@pytest.mark.parametrize(
    "uid, encode",
    [
        ("1.2.840.10008.1.2.4.70", lambda x: imagecodecs.ljpeg_encode(x)),
        ("1.2.840.10008.1.2.4.80", lambda x: imagecodecs.jpegls_encode(x)),
        ("1.2.840.10008.1.2.4.90", lambda x: imagecodecs.jpeg2k_encode(x, level=0)),
        (JPEGXL, lambda x: imagecodecs.jpegxl_encode(x, lossless=True)),
        (HTJ2K, lambda x: imagecodecs.htj2k_encode(x)),
    ],
)
@pytest.mark.parametrize("dtype, top", [("uint8", 255), ("uint16", 65535)])
def test_lossless_transfer_syntaxes(uid, encode, dtype, top):
    pixels = ramp(dtype, top)
    stand_in = HTJ2K if uid == JPEGXL else uid  # pydicom 3.0 reads JPEG XL files, not writes
    data = build(pixels, stand_in, coded=encode(pixels)).replace(stand_in.encode(), uid.encode())
    read, info = read_dicom(data)
    np.testing.assert_array_equal(read, pixels)
    assert read.dtype == pixels.dtype and not info.lossy


def test_baseline_jpeg_is_close():
    pixels = ramp("uint8", 255, (64, 64))
    coded = imagecodecs.jpeg_encode(pixels, level=95)
    read, _ = read_dicom(build(pixels, "1.2.840.10008.1.2.4.50", coded=coded))
    assert np.abs(read.astype(int) - pixels).max() < 10


def test_monochrome1_is_turned_so_that_bigger_is_brighter():
    pixels = ramp("uint16", 4095)
    tags = {"PhotometricInterpretation": "MONOCHROME1", "BitsStored": 12}
    read, info = read_dicom(build(pixels, **tags))
    np.testing.assert_array_equal(read, 4095 - pixels)
    np.testing.assert_array_equal(to_units(read, info), pixels)
    shown = to_display(read, info)
    assert shown[0, 0] == 255 and shown[-1, -1] == 0


def test_signed_monochrome1():
    pixels = (ramp("int16", 2000) - 1000).astype("int16")
    read, info = read_dicom(build(pixels, PhotometricInterpretation="MONOCHROME1"))
    np.testing.assert_array_equal(read, -1 - pixels)
    np.testing.assert_array_equal(to_units(read, info), pixels)


@pytest.mark.parametrize("signed", [0, 1])
def test_bits_above_the_stored_ones_are_dropped(signed):
    words = np.array([[0x8FFF, 0x7800, 0x0001, 0xF000]], np.uint16)
    read, _ = read_dicom(build(words, BitsStored=12, PixelRepresentation=signed))
    expected = [[-1, -2048, 1, 0]] if signed else [[0xFFF, 0x800, 1, 0]]
    np.testing.assert_array_equal(read, expected)


def test_slope_intercept_and_window_of_the_standard():
    pixels = np.array([[0, 1024, 1064, 1104, 4095]], np.uint16)
    tags = {"BitsStored": 12, "RescaleSlope": "1", "RescaleIntercept": "-1024"}
    read, info = read_dicom(
        build(pixels, WindowCenter=["40", "600"], WindowWidth=["81", "9"], **tags)
    )
    np.testing.assert_array_equal(to_units(read, info), [[-1024, 0, 40, 80, 3071]])
    assert info.window == (40, 81)
    # c - 0.5 - (w - 1) / 2 = -0.5 is black, 79.5 white: PS3.3 C.11.2.1.2
    shown = to_display(read, info)
    np.testing.assert_array_equal(shown, [[0, 2, 129, 255, 255]])
    assert to_display(read, info, window=(1000, 100))[0, 2] == 0


def test_no_identifying_tag_leaves_the_reader():
    data = build(
        ramp("uint8", 255), PixelSpacing=["0.2", "0.3"], BurnedInAnnotation="YES", **SECRETS
    )
    assert b"Okonkwo" in data
    read, info = read_dicom(data)
    said = repr(info) + repr(dataclasses.asdict(info)) + repr(read)
    for secret in SECRETS.values():
        for word in secret.replace("^", " ").split():
            assert len(word) < 4 or word not in said
    assert info.spacing_mm == (0.2, 0.3) and info.burned_in is True


def test_a_name_in_the_modality_tag_stays_inside():
    assert read_dicom(build(ramp("uint8", 255), Modality="OKONKWO"))[1].modality == ""


def test_frames_are_chosen_by_number(tmp_path):
    pixels = np.stack([ramp("uint16", 100), ramp("uint16", 200)])
    data = build(pixels, NumberOfFrames=2)
    np.testing.assert_array_equal(read_dicom(data, frame=1)[0], pixels[1])
    with pytest.raises(DataError, match="2 frames; choose one"):
        read_dicom(data)
    with pytest.raises(DataError, match="no frame 2"):
        read_dicom(data, frame=2)


@pytest.mark.parametrize(
    "tags, message",
    [
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "in colour"),
        ({"PhotometricInterpretation": "PALETTE COLOR"}, "in colour"),
        ({"BitsAllocated": 32, "BitsStored": 32}, "stores 32 bits"),
    ],
)
def test_what_this_book_does_not_code_is_named(tags, message):
    with pytest.raises(DataError, match=message):
        read_dicom(build(ramp("uint8", 255), **tags))


def test_damaged_files(tmp_path):
    path = tmp_path / "film.dcm"
    path.write_bytes(b"no DICOM at all")
    with pytest.raises(DataError, match=r"film\.dcm is not a DICOM file"):
        read_dicom(path)
    with pytest.raises(DataError, match=r"gone\.dcm cannot be read"):
        read_dicom(tmp_path / "gone.dcm")
    pixels = ramp("uint16", 65535)
    coded = imagecodecs.jpegls_encode(pixels)
    with pytest.raises(DataError, match="cannot be decoded"):
        read_dicom(build(pixels, "1.2.840.10008.1.2.4.80", coded=coded[: len(coded) // 2]))
    path.write_bytes(build(pixels)[:-100])
    with pytest.raises(DataError, match=r"film\.dcm"):
        read_dicom(path)
