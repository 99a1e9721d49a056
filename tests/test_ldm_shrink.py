"""The paper's compression: sizes and grey levels after it, and real bytes in the table."""

import io
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from codec_images import phantom

from helpers.codecs.classical import JpegXl, Png
from helpers.data import ImageSet
from helpers.experiments.ldm_mammo import shrink


def made(dtype=np.uint16, side=64, bits=None, images=None):
    images = images or tuple(phantom(side, dtype, seed) for seed in range(6))
    return ImageSet(
        name="mammography",
        source="made",
        images=images,
        ids=tuple(f"film-{i}" for i in range(len(images))),
        patients=tuple(f"P_{i}" for i in range(len(images))),
        labels=("NONE",) * len(images),
        bit_depth=bits or 8 * np.dtype(dtype).itemsize,
        licence="none",
        citation="none",
        preparation="Made.",
    )


@pytest.mark.parametrize("factor", [2, 4])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_reduced_images_keep_their_dtype_levels_and_owners(factor, dtype):
    source = made(dtype)
    small = shrink.shrink(source, factor)
    assert (small.ids, small.patients, small.labels) == (source.ids, source.patients, source.labels)
    assert small.bit_depth == source.bit_depth and f"1/{factor}" in small.preparation
    for image, reduced in zip(source, small, strict=True):
        assert reduced.shape == (64 // factor, 64 // factor) and reduced.dtype == dtype
        means = image.reshape(64 // factor, factor, -1, factor).mean(axis=(1, 3))
        assert np.abs(reduced - means).mean() < 0.03 * np.iinfo(dtype).max
        assert reduced.mean() == pytest.approx(image.mean(), rel=0.01)
    if dtype == np.uint16:
        assert any((image % 257).any() for image in small)  # not 8 bits in disguise


def test_it_is_torchvisions_filter_and_as_many_threads_as_one(one_thread):
    import torch
    from torchvision.transforms import InterpolationMode
    from torchvision.transforms.functional import resize

    source = made()
    tensor = torch.from_numpy(source.stack().astype(np.float64))
    wanted = resize(tensor, [32, 32], InterpolationMode.BICUBIC, antialias=True).numpy()
    single, four = (shrink.shrink(source, 2, threads) for threads in (1, 4))
    assert single.fingerprint == four.fingerprint
    assert np.abs(four.stack() - wanted.clip(0, 65535)).max() <= 0.51


def test_fine_stripes_are_averaged_not_folded_back():
    stripes = np.zeros((64, 64), np.uint16)
    stripes[:, ::2] = 60000
    (small,) = shrink.shrink(made(images=(stripes,)), 4)
    assert small[:, 4:-4].min() > 29000 and small[:, 4:-4].max() < 31000


def test_overshoot_ends_at_the_bit_depth():
    edge = np.zeros((64, 64), np.uint16)
    edge[:, 30:] = 4095
    (small,) = shrink.shrink(made(bits=12, images=(edge,)), 2)
    assert small.max() == 4095 and small.min() == 0


@pytest.mark.parametrize("format", ["png", "jpegxl"])
def test_files_hold_the_images_exactly(format):
    source = made()
    codec = Png() if format == "png" else JpegXl()
    contents = shrink.files(source, format)
    assert len(contents) == len(source)
    for image, content in zip(source, contents, strict=True):
        np.testing.assert_array_equal(codec.decode(content), image)
    assert (contents[0][:4] == b"\x89PNG") == (format == "png")


def test_the_archive_opens_and_holds_the_files():
    source = made()
    contents = shrink.files(source)
    packed = shrink.archive(contents, source.ids)
    assert packed == shrink.archive(contents, source.ids)
    with zipfile.ZipFile(io.BytesIO(packed)) as archive:
        assert archive.namelist() == [f"{name}.png" for name in source.ids]
        assert [archive.read(name) for name in archive.namelist()] == contents
        assert {entry.compress_type for entry in archive.infolist()} == {zipfile.ZIP_DEFLATED}


def test_the_table_counts_real_bytes_and_zip_makes_noise_larger():
    rng = np.random.default_rng(0)
    source = made(images=tuple(rng.integers(0, 65536, (64, 64)).astype(np.uint16) for _ in "ab"))
    shrunk = {factor: shrink.shrink(source, factor) for factor in (2, 4)}
    table = shrink.sizes(source, shrunk)
    assert list(zip(table["factor"], table["format"], strict=True)) == [
        (1, "PNG"),
        (1, "ZIP of PNG"),
        (1, "JPEG XL"),
        *((factor, name) for factor in (2, 4) for name in ("PNG", "JPEG XL")),
    ]
    total = table.set_index(["factor", "format"])["bytes"]
    assert total[1, "PNG"] == sum(map(len, shrink.files(source)))
    assert total[4, "JPEG XL"] == sum(map(len, shrink.files(shrunk[4], "jpegxl")))
    assert total[1, "ZIP of PNG"] > total[1, "PNG"]
    assert table["bpp"][0] == pytest.approx(8 * total[1, "PNG"] / (2 * 64 * 64))
    assert table["ratio"][0] == 1 and (table["images"] == 2).all()
    assert table["ratio"].iloc[3] == total[1, "PNG"] / total[2, "PNG"]


def test_bad_input_is_refused():
    source = made()
    with pytest.raises(ValueError, match="factor of 2 or 4, not 3"):
        shrink.shrink(source, 3)
    odd = replace(source, images=(*source.images[:5], source.images[5][:, :62]))
    with pytest.raises(ValueError, match=r"film-5 of shape \(64, 62\) cannot be divided by 4"):
        shrink.shrink(odd, 4)
    with pytest.raises(ValueError, match="png or jpegxl, not as 'tiff'"):
        shrink.files(source, "tiff")
    with pytest.raises(ValueError, match="reduced by 2 holds other images"):
        shrink.sizes(source, {2: shrink.shrink(source.take([0, 1]), 2)})
    with pytest.raises(ValueError, match="max_workers"):
        shrink.shrink(source, 2, threads=0)
