"""A user's own image in, the same pixels out, or one sentence that says why not."""

import imagecodecs
import nibabel
import numpy as np
import pytest
import tifffile

from helpers.data.nifti import read_volume
from helpers.data.readers import decode_jpeg, read_image, write_image
from helpers.errors import DataError

RNG = np.random.default_rng(0)


def noise(dtype, shape=(11, 7)):
    info = np.iinfo(dtype)
    return RNG.integers(info.min, info.max, shape, dtype, endpoint=True)


@pytest.mark.parametrize(
    "name, dtype",
    [
        ("a.png", "uint8"),
        ("a.png", "uint16"),
        ("a.tif", "uint8"),
        ("a.tiff", "uint16"),
        ("a.tif", "int16"),
    ],
)
@pytest.mark.parametrize("shape", [(11, 7), (1, 1), (1, 300)])
def test_written_images_read_back_equal(tmp_path, name, dtype, shape):
    image = noise(dtype, shape)
    write_image(tmp_path / name, image)
    read = read_image(tmp_path / name)
    np.testing.assert_array_equal(read, image)
    assert read.dtype == image.dtype
    assert [path.name for path in tmp_path.iterdir()] == [name]


def test_a_written_tiff_says_nothing_but_pixels(tmp_path):
    write_image(tmp_path / "a.tif", noise("uint8"))
    with tifffile.TiffFile(tmp_path / "a.tif") as file:
        names = {tag.name for tag in file.pages[0].tags}
    assert not names & {"Software", "DateTime", "ImageDescription", "Artist", "HostComputer"}


def test_a_failed_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "a.png"
    write_image(path, noise("uint8"))
    before = path.read_bytes()

    def fail(self, target):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("pathlib.Path.replace", fail)
    with pytest.raises(DataError, match="No space left"):
        write_image(path, noise("uint8"))
    assert path.read_bytes() == before and len(list(tmp_path.iterdir())) == 1


@pytest.mark.parametrize(
    "name, image",
    [
        ("a.jpg", noise("uint8")),
        ("a.png", noise("int16")),
        ("a.png", np.zeros((3, 3))),
        ("a.tif", noise("uint8", (3, 3, 3))),
    ],
)
def test_what_cannot_be_written_is_refused(tmp_path, name, image):
    with pytest.raises(ValueError, match="written"):
        write_image(tmp_path / name, image)
    with pytest.raises(DataError, match=r"no folder/a\.png cannot be written"):
        write_image(tmp_path / "no folder" / "a.png", noise("uint8"))
    (tmp_path / "folder.png").mkdir()
    with pytest.raises(DataError, match=r"folder\.png cannot be written"):
        write_image(tmp_path / "folder.png", noise("uint8"))
    assert [path.name for path in tmp_path.iterdir()] == ["folder.png"]  # nothing half-written


def test_jpeg_reads_close(tmp_path):
    image = np.tile(np.arange(0, 256, 4, dtype=np.uint8), (64, 1))
    (tmp_path / "a.jpeg").write_bytes(imagecodecs.jpeg_encode(image, level=95))
    assert np.abs(read_image(tmp_path / "a.jpeg").astype(int) - image).max() < 8


def test_colour_is_refused_unless_it_is_grey_or_luma_is_asked_for(tmp_path):
    colour, grey = noise("uint8", (9, 9, 3)), noise("uint8", (9, 9))
    (tmp_path / "colour.png").write_bytes(imagecodecs.png_encode(colour))
    (tmp_path / "grey.png").write_bytes(imagecodecs.png_encode(np.dstack([grey] * 3)))
    np.testing.assert_array_equal(read_image(tmp_path / "grey.png"), grey)
    with pytest.raises(DataError, match=r"colour\.png is in colour"):
        read_image(tmp_path / "colour.png")
    luma = read_image(tmp_path / "colour.png", luma=True)
    assert np.abs(luma - colour @ [0.299, 0.587, 0.114]).max() <= 0.5


def test_a_channel_that_would_be_lost_is_refused(tmp_path):
    grey = noise("uint8", (9, 9))
    opaque, hidden = np.dstack([grey, grey * 0 + 255]), np.dstack([grey, grey // 2])
    (tmp_path / "opaque.png").write_bytes(imagecodecs.png_encode(opaque))
    (tmp_path / "hidden.png").write_bytes(imagecodecs.png_encode(hidden))
    np.testing.assert_array_equal(read_image(tmp_path / "opaque.png"), grey)
    with pytest.raises(DataError, match=r"hidden\.png has a fourth or second channel"):
        read_image(tmp_path / "hidden.png")


def test_half_a_jpeg_is_refused(tmp_path):
    data = imagecodecs.jpeg_encode(noise("uint8", (64, 64)), level=80)
    (tmp_path / "a.jpg").write_bytes(data[: len(data) // 2])
    with pytest.raises(DataError, match="end-of-image"):
        read_image(tmp_path / "a.jpg")
    with pytest.raises(DataError, match="end-of-image"):
        decode_jpeg(data[: len(data) // 2])
    (tmp_path / "a.jpg").write_bytes(data + b"\0\0")  # some devices fill up
    assert read_image(tmp_path / "a.jpg").shape == (64, 64)


def test_a_slice_of_a_format_with_one_image_is_refused(tmp_path):
    (tmp_path / "a.png").write_bytes(imagecodecs.png_encode(noise("uint8", (9, 9))))
    assert read_image(tmp_path / "a.png", slice=0).shape == (9, 9)
    with pytest.raises(DataError, match="there is no slice 4"):
        read_image(tmp_path / "a.png", slice=4)


def test_tiff_pages_and_inverted_tiff(tmp_path):
    pages = noise("uint16", (3, 5, 6))
    tifffile.imwrite(tmp_path / "stack.tif", pages, photometric="minisblack")
    np.testing.assert_array_equal(read_image(tmp_path / "stack.tif", slice=2), pages[2])
    with pytest.raises(DataError, match=r"stack\.tif: it holds 3 pages"):
        read_image(tmp_path / "stack.tif")
    with pytest.raises(DataError, match="no page 3"):
        read_image(tmp_path / "stack.tif", slice=3)
    tifffile.imwrite(tmp_path / "inverted.tif", pages[0], photometric="miniswhite")
    np.testing.assert_array_equal(read_image(tmp_path / "inverted.tif"), 65535 - pages[0])


@pytest.mark.parametrize("dtype", ["float32", "uint32", "int32"])
def test_other_pixel_types_are_refused(tmp_path, dtype):
    tifffile.imwrite(tmp_path / "a.tif", np.ones((4, 4), dtype))
    with pytest.raises(DataError, match=f"are {dtype}"):
        read_image(tmp_path / "a.tif")


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.dcm", "a.nii", "a.nii.gz"])
@pytest.mark.parametrize("content", [b"", b"not an image at all", b"\x1f\x8b damaged"])
def test_undecodable_files_are_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DataError, match=name) as caught:
        read_image(tmp_path / name)
    assert "\n\n" not in str(caught.value)


def test_missing_files_and_unknown_formats(tmp_path):
    with pytest.raises(DataError, match=r"no file .*gone\.png"):
        read_image(tmp_path / "gone.png")
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(DataError, match="of no format read here"):
        read_image(tmp_path / "notes.txt")


def volume_file(path, data, affine=None, slope=None, inter=0.0):
    image = nibabel.Nifti1Image(data, np.eye(4) if affine is None else affine)
    if slope:
        image.header.set_slope_inter(slope, inter)
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16"])
def test_a_slice_of_a_volume(tmp_path, dtype):
    data = noise(dtype, (4, 5, 6))
    path = volume_file(tmp_path / "brain.v2.nii.gz", data)
    np.testing.assert_array_equal(read_image(path), data[:, :, 3])
    np.testing.assert_array_equal(read_image(path, slice=1, axis=0), data[1])
    for wrong in ({"slice": 6}, {"slice": -1}, {"axis": 3}):
        with pytest.raises(DataError, match=r"brain\.v2\.nii\.gz"):
            read_image(path, **wrong)


def test_float_volumes_are_refused_as_images(tmp_path):
    path = volume_file(tmp_path / "a.nii", np.ones((3, 3, 3), np.float32))
    with pytest.raises(DataError, match="are float32"):
        read_image(path)


def test_volumes_are_scaled_and_turned_to_canonical_axes(tmp_path):
    data = noise("int16", (4, 5, 6))
    affine = np.diag([-2.0, -3.0, 4.0, 1.0])  # the first two axes run left and back
    path = volume_file(tmp_path / "a.nii.gz", data, affine, slope=0.5, inter=3.0)
    volume, spacing = read_volume(path)
    np.testing.assert_allclose(volume, data[::-1, ::-1] * 0.5 + 3)
    assert spacing == (2, 3, 4)
    stored, _ = read_volume(path.read_bytes(), stored=True)
    np.testing.assert_array_equal(stored, data)


def test_a_series_is_no_volume(tmp_path):
    path = volume_file(tmp_path / "a.nii", noise("int16", (3, 3, 3, 2)))
    with pytest.raises(DataError, match="has 4 axes"):
        read_volume(path)
    path = volume_file(tmp_path / "b.nii", noise("int16", (3, 3, 3, 1)))
    assert read_volume(path)[0].shape == (3, 3, 3)
