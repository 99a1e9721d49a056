"""Prepared sets carry images to another machine unchanged, or say that they were changed."""

import subprocess
import sys

import numpy as np
import pytest

from helpers.data import ImageSet, load
from helpers.data.prepared import open_prepared, save_prepared
from helpers.errors import DataError

RNG = np.random.default_rng(2)


@pytest.fixture
def imageset():
    return ImageSet(
        name="brain-mri",
        source="siar",
        images=tuple(RNG.integers(0, 256, (8, 8), np.uint8) for _ in range(5)),
        ids=tuple("abcde"),
        patients=tuple("ppqqr"),
        labels=("tumour", "", "tumour", "", "é"),
        bit_depth=8,
        licence="CC0",
        citation="Nobody 2020",
        preparation="As it was.",
    )


def test_a_set_comes_back_as_it_was(imageset, tmp_path):
    path = tmp_path / "set.npz"
    save_prepared(imageset, path)
    back = load("brain-mri", source=path, size=8)
    assert back.fingerprint == imageset.fingerprint
    for key in ("name", "source", "ids", "patients", "labels", "bit_depth", "licence", "citation"):
        assert getattr(back, key) == getattr(imageset, key)
    assert back.preparation == "As it was. Read from a prepared file."
    assert load("brain-mri", source=path, limit=2).ids == ("a", "e")
    assert load("brain-mri", source=path, keep=lambda name: name > "c", limit=1).ids[0] in "de"
    assert list(tmp_path.iterdir()) == [path]


def test_images_of_several_shapes_and_16_bits(imageset, tmp_path):
    images = (np.uint16([[1, 65535]]), np.uint16([[7]]))
    mixed = ImageSet(**{**vars(imageset.take([0, 2])), "images": images, "bit_depth": 16})
    save_prepared(mixed, tmp_path / "set.npz")
    back = open_prepared(tmp_path / "set.npz", depth=16)
    np.testing.assert_array_equal(back.images[0], images[0])
    assert back.images[1].dtype == np.uint16 and back.fingerprint == mixed.fingerprint


@pytest.mark.parametrize(
    "wanted, message",
    [
        ({"name": "chest-xray"}, "holds brain-mri, not chest-xray"),
        ({"size": 16}, "not 16 x 16"),
        ({"depth": 16}, "do not have 16 bits"),
    ],
)
def test_another_set_than_asked_for(imageset, tmp_path, wanted, message):
    save_prepared(imageset, tmp_path / "set.npz")
    with pytest.raises(DataError, match=message):
        open_prepared(tmp_path / "set.npz", **wanted)


def test_damaged_changed_or_foreign_files(imageset, tmp_path):
    path = tmp_path / "set.npz"
    save_prepared(imageset, path)
    whole = path.read_bytes()
    with np.load(path) as archive:
        arrays = dict(archive)
    arrays["image000003"] = arrays["image000003"] ^ 1
    np.savez(path, **arrays)
    with pytest.raises(DataError, match="not those that were packed"):
        open_prepared(path)
    pickled = np.array([{"a": "pickle"}], dtype=object)
    for write in (
        lambda: path.write_bytes(whole[:-300]),
        lambda: path.write_bytes(b"nothing"),
        lambda: path.unlink(),
        lambda: np.savez(path, other=np.ones(3)),
        lambda: np.savez(path, facts=pickled),
    ):
        write()
        with pytest.raises(DataError, match=r"set\.npz is no prepared set"):
            open_prepared(path)
    with pytest.raises(ValueError, match=r"\.npz file"):
        save_prepared(imageset, tmp_path / "set.zip")
    with pytest.raises(DataError, match="cannot be written"):
        save_prepared(imageset, tmp_path / "nowhere" / "set.npz")


def test_reading_one_needs_numpy_only(imageset, tmp_path):
    save_prepared(imageset, tmp_path / "set.npz")
    code = (
        "import sys\n"
        "for name in ('nibabel', 'pydicom', 'skimage', 'PIL', 'imagecodecs', 'platformdirs',\n"
        "             'tifffile', 'pandas', 'torch'):\n"
        "    sys.modules[name] = None\n"
        "from helpers.data import load\n"
        "print(len(load('brain-mri', source=sys.argv[1])))"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "set.npz")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout.strip() == "5", done.stderr
