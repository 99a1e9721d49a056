"""A folder of all sorts: which files are read, how many images each gives, what is refused."""

import nibabel
import numpy as np
import pytest
import tifffile
from codec_images import phantom
from test_data_dicom import build

from helpers.data.folders import middles, quotas, read_folder, read_images
from helpers.data.readers import write_image
from helpers.errors import DataError


def test_every_format_below_a_folder_is_read(tmp_path):
    deep = tmp_path / "one" / "two"
    deep.mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    images = [phantom(16, dtype, seed) for seed, dtype in enumerate(("u1", "u2", "i2", "i2"))]
    write_image(tmp_path / "a.png", images[0])
    write_image(tmp_path / "one" / "b.tif", images[1])
    (deep / "c.dcm").write_bytes(build(images[2]))
    (deep / "d").write_bytes(build(images[3]))  # exported without a suffix
    write_image(tmp_path / ".hidden" / "e.png", images[0])
    (deep / "notes.txt").write_text("no image")
    read, refused = read_folder(tmp_path, 10)
    assert refused == [] and len(read) == 4
    for image, expected in zip(read, images, strict=True):
        np.testing.assert_array_equal(image, expected)
        assert image.dtype == expected.dtype
    assert len(read_folder(tmp_path, 3)[0]) == 3


def test_a_volume_gives_upright_axial_slices(tmp_path):
    stored = np.zeros((5, 6, 20), np.int16)  # right, front, top; nothing in the outer slices
    stored[1:3, 4, 4:16] = np.arange(12) - 500
    turned = np.ascontiguousarray(stored.transpose(2, 0, 1)[:, ::-1])  # top, left, front
    affine = np.array([[0, -2, 0, 0], [0, 0, 2, 0], [3, 0, 0, 0], [0, 0, 0, 1.0]])
    image = nibabel.Nifti1Image(turned, affine)
    image.header.set_slope_inter(0.5, 7)
    image.to_filename(tmp_path / "head.nii.gz")
    read, _ = read_folder(tmp_path, 3)
    assert [slice_.max() for slice_ in read] == [0, 0, 0]
    assert [slice_.min() for slice_ in read] == [-498, -494, -490]  # stored, evenly spread
    assert all(slice_.dtype == np.int16 and slice_.shape == (6, 5) for slice_ in read)
    assert (np.argwhere(read[0]) == [[1, 2], [1, 3]]).all()  # front is up, right is left
    assert len(read_images(tmp_path / "head.nii.gz", 99)) == 12


def test_pages_and_frames_are_spread(tmp_path):
    stack = np.stack([phantom(16, "u2", seed) for seed in range(9)])
    tifffile.imwrite(tmp_path / "stack.tif", stack, photometric="minisblack")
    (tmp_path / "stack.dcm").write_bytes(build(stack[:2], NumberOfFrames=2))
    read, _ = read_folder(tmp_path, 5)
    np.testing.assert_array_equal(read, [stack[0], stack[1], stack[1], stack[4], stack[7]])


def test_files_that_cannot_be_read_are_named(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"not a picture")
    nibabel.Nifti1Image(np.ones((4, 4, 4)), np.eye(4)).to_filename(tmp_path / "float.nii")
    with pytest.raises(DataError, match=r"bad\.png cannot be decoded"):
        read_folder(tmp_path, 9)
    write_image(tmp_path / "good.png", phantom(16))
    read, refused = read_folder(tmp_path, 9)
    assert len(read) == 1 and len(refused) == 2
    assert "bad.png" in refused[0] and "float.nii are float64" in refused[1]


def test_a_folder_without_images_is_one_sentence(tmp_path):
    with pytest.raises(DataError, match="There is no image in"):
        read_folder(tmp_path, 1)
    with pytest.raises(DataError, match="There is no folder"):
        read_folder(tmp_path / "gone", 1)


def test_shares_and_places():
    assert quotas([1, 200, 3], 12) == [1, 8, 3]
    assert quotas([5, 5, 5], 12) == [4, 4, 4]
    assert quotas([1, 1], 12) == [1, 1]
    assert quotas([9, 9, 9], 1) == [0, 0, 1]
    assert middles(10, 3) == [1, 5, 8]
    assert middles(3, 9) == [0, 1, 2]
