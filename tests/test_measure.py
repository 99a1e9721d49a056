import math
import subprocess
import sys

import imagecodecs
import numpy as np
import pandas as pd
import pytest
from imagecodecs.numcodecs import Jpeg, Jpeg2k, Png
from numcodecs.abc import Codec

from helpers import measure, metrics
from helpers.data.imageset import ImageSet


def blobs(seed: int, shape=(64, 64), bits=8) -> np.ndarray:
    """A smooth picture with some noise, in the full range of its bits."""
    from scipy.ndimage import gaussian_filter

    rng = np.random.default_rng(seed)
    image = gaussian_filter(rng.normal(size=shape), 6)
    image = (image - image.min()) / np.ptp(image) + rng.normal(scale=0.01, size=shape)
    dtype = np.uint8 if bits == 8 else np.uint16
    return (np.clip(image, 0, 1) * (2**bits - 1)).astype(dtype)


def as_set(images, patients=None, bits=8) -> ImageSet:
    ids = [f"image-{i}" for i in range(len(images))]
    return ImageSet(
        "synthetic",
        "made here",
        images,
        ids,
        patients or ids,
        [""] * len(images),
        bits,
        "CC0",
        "none",
    )


class Offset(Codec):
    """Lossy in a way one can compute by hand: every pixel comes back higher by ``offset``."""

    codec_id = "test-offset"

    def __init__(self, offset=0, seen=None):
        self.offset, self.seen = offset, seen

    def encode(self, buf):
        return imagecodecs.png_encode(buf)

    def decode(self, buf, out=None):
        if self.seen is not None:
            self.seen.append(buf)
        image = imagecodecs.png_decode(buf)
        return image + image.dtype.type(self.offset)


def test_every_number_of_a_row_follows_from_the_bytes():
    image = np.full((20, 30), 100, np.uint8)
    seen = []
    codec = Offset(5, seen)
    row = measure.evaluate(codec, as_set([image], ["p"]), name="offset").iloc[0]
    stream = imagecodecs.png_encode(image)
    assert list(row.index) == measure.COLUMNS
    assert (row["image_id"], row["patient_id"], row["codec"]) == ("image-0", "p", "offset")
    assert seen == [stream] and isinstance(seen[0], bytes)
    assert row["bytes"] == len(stream)
    assert row["bpp"] == pytest.approx(len(stream) * 8 / 600)
    assert row["ratio_8bit"] == pytest.approx(600 / len(stream))
    assert row["mse"] == 25 and row["max_error"] == 5 and not row["exact"]
    assert row["psnr"] == pytest.approx(20 * math.log10(255 / 5))
    assert row["peak"] == 255 and row["reference_bits"] == 8
    assert row["encode_s"] > 0 and row["decode_s"] > 0
    assert math.isnan(row["fsim"]) and math.isnan(row["ms_ssim"])  # not asked for


def test_a_further_metric_gets_a_column_at_the_end():
    def darkest(original, decoded, peak):
        return (int(decoded.min()) - int(original.min())) / peak

    image = np.full((20, 30), 100, np.uint8)
    table = measure.evaluate(Offset(51), as_set([image]), name="o", more={"darkest": darkest})
    assert list(table) == [*measure.COLUMNS, "darkest"]
    assert table["darkest"].item() == 0.2 and table["psnr"].notna().all()


def test_exact_images_have_infinite_psnr_and_perfect_similarity():
    images = [blobs(0, (176, 170)), blobs(1, (176, 170))]
    table = measure.evaluate(Png(), as_set(images), name="png", metrics=tuple(metrics.METRICS))
    assert table["exact"].all() and (table["psnr"] == math.inf).all()
    assert (table[["mse", "max_error"]] == 0).all(axis=None)
    assert table[["ssim", "ms_ssim", "fsim"]].to_numpy() == pytest.approx(1.0)


def test_peak_and_reference_bits_are_the_callers_and_are_stored():
    image = blobs(2, bits=12)
    plain = measure.evaluate(Offset(3), as_set([image], bits=12), name="o").iloc[0]
    other = measure.evaluate(
        Offset(3), as_set([image], bits=12), name="o", peak=65535, reference_bits=32
    ).iloc[0]
    assert plain["peak"] == 4095 and other["peak"] == 65535
    assert other["psnr"] - plain["psnr"] == pytest.approx(20 * math.log10(65535 / 4095))
    assert other["ratio"] / plain["ratio"] == pytest.approx(32 / 12)
    assert other["ratio_8bit"] == plain["ratio_8bit"]


def test_sixteen_bits_lose_no_precision():
    image = blobs(3, (200, 200), bits=16) // 2
    decoded = image.copy()
    decoded[::2] += 1
    assert metrics.mse(image, decoded) == 0.5
    assert metrics.max_error(decoded, image) == 1
    assert metrics.psnr(image, decoded, 65535) == pytest.approx(10 * math.log10(65535**2 / 0.5))
    for metric in ("ssim", "ms_ssim", "fsim"):
        assert 1 - 1e-3 < metrics.METRICS[metric](image, decoded, 65535) <= 1


def test_metrics_do_not_depend_on_the_scale_of_image_and_peak_together():
    small, large = blobs(4, (176, 176)), blobs(5, (176, 176))
    mixed = (0.9 * small + 0.1 * large).astype(np.uint8)
    for metric in metrics.METRICS.values():
        wide = metric(small.astype(np.uint16) * 257, mixed.astype(np.uint16) * 257, 65535)
        assert wide == pytest.approx(metric(small, mixed, 255), rel=1e-9)


def test_metrics_fall_as_noise_grows():
    image = blobs(6, (176, 176))
    rng = np.random.default_rng(0)
    noise = rng.normal(size=image.shape)
    noisy = [np.clip(image + s * noise, 0, 255).round().astype(np.uint8) for s in (2, 8, 32)]
    for name, metric in metrics.METRICS.items():
        values = [metric(image, n, 255) for n in noisy]
        assert values == sorted(values, reverse=True) and values[0] > values[2], name


def test_similarities_are_undefined_where_their_windows_do_not_fit():
    image = np.zeros((10, 300), np.uint8)
    for name in ("ssim", "ms_ssim", "fsim"):
        assert math.isnan(metrics.METRICS[name](image, image, 255))
    assert math.isnan(metrics.ms_ssim(*[np.zeros((160, 160), np.uint8)] * 2, 255))
    assert metrics.ms_ssim(*[blobs(1, (161, 161))] * 2, 255) == pytest.approx(1)


class Broken(Offset):
    def __init__(self, result):
        self.result = result

    def decode(self, buf, out=None):
        return self.result


@pytest.mark.parametrize(
    ("result", "says"),
    [
        (np.zeros((8, 9), np.uint8), "one shape"),
        (np.zeros((8, 8), np.float32), "round"),
    ],
)
def test_a_codec_that_returns_another_image_is_refused(result, says):
    with pytest.raises(ValueError, match=says):
        measure.evaluate(Broken(result), as_set([np.zeros((8, 8), np.uint8)]), name="broken")


def test_bad_questions_get_one_clear_sentence():
    images = as_set([blobs(0)])
    with pytest.raises(ValueError, match="no metric"):
        measure.evaluate(Png(), images, name="png", metrics=("beauty",))
    with pytest.raises(ValueError, match="above the peak"):
        measure.evaluate(Png(), images, name="png", peak=100)
    with pytest.raises(ValueError, match="must encode to bytes"):
        broken = Offset()
        broken.encode = lambda image: image
        measure.evaluate(broken, images, name="array")
    with pytest.raises(ValueError, match="at least one operating point"):
        measure.sweep(lambda level: Png(), [], images, name="png")


@pytest.fixture(scope="module")
def curves():
    images = as_set([blobs(s) for s in range(4)], ["a", "a", "b", "c"])
    return [
        measure.sweep(lambda q: Jpeg2k(level=q), [30, 34, 38, 42, 46], images, name="good"),
        measure.sweep(lambda q: Jpeg(level=q), [10, 30, 60, 85, 95], images, name="other"),
    ]


def test_a_sweep_has_a_row_for_each_image_and_point(curves):
    table = curves[0]
    assert len(table) == 20 and set(table["point"]) == {30, 34, 38, 42, 46}
    means = measure.curve(table)
    at = table[table["point"] == 38]
    assert means.loc[means["point"] == 38, "bpp"].item() == pytest.approx(at["bpp"].mean())
    assert means.loc[means["point"] == 38, "psnr"].item() == pytest.approx(at["psnr"].mean())


def test_bjontegaard_knows_codecs_made_worse_by_a_known_amount(curves):
    good = curves[0]
    heavier = good.assign(bpp=good["bpp"] * 1.25)
    lower = good.assign(psnr=good["psnr"] - 1.5)
    assert measure.bd_rate(good, heavier) == pytest.approx(25)
    assert measure.bd_rate(heavier, good) == pytest.approx(-20)
    assert measure.bd_psnr(good, lower) == pytest.approx(-1.5)
    assert measure.bd_rate(good, good) == pytest.approx(0)
    forth = measure.bd_rate(*curves)
    back = measure.bd_rate(*curves[::-1])
    assert (1 + forth / 100) * (1 + back / 100) == pytest.approx(1)


def test_curves_that_cannot_be_compared_are_refused(curves):
    good = curves[0]
    with pytest.raises(ValueError, match="at least four"):
        measure.bd_rate(good[good["point"] > 34], good)
    with pytest.raises(ValueError, match="share no range of psnr"):
        measure.bd_rate(good, good.assign(psnr=good["psnr"] + 100))
    with pytest.raises(ValueError, match="share no range of bpp"):
        measure.bd_psnr(good, good.assign(bpp=good["bpp"] * 1000))
    with pytest.raises(ValueError, match="does not rise"):
        measure.bd_rate(good.assign(psnr=40.0), good)
    with pytest.raises(ValueError, match="one codec each"):
        measure.bd_rate(pd.concat(curves), good)


def test_exact_points_have_no_place_on_a_curve(curves):
    exact = curves[0].assign(point=99, psnr=math.inf)
    assert 99 not in set(measure.curve(pd.concat([curves[0], exact]))["point"])


def test_the_summary_counts_patients_and_brackets_its_mean(curves):
    table = pd.concat(curves)
    rows = measure.summary(table, ("bpp", "psnr"), by=("codec", "point"))
    assert len(rows) == 2 * 5 * 2
    assert (rows["images"] == 4).all() and (rows["patients"] == 3).all()
    assert ((rows["low"] <= rows["mean"]) & (rows["mean"] <= rows["high"])).all()
    assert (rows["low"] < rows["high"]).all()


def test_another_process_proves_what_is_lossless_and_what_is_not():
    image = blobs(9, (33, 41), bits=16)
    assert measure.proves_lossless(Png(), image)
    assert not measure.proves_lossless(Jpeg2k(level=30), image)


def test_a_stream_only_its_maker_can_decode_proves_nothing():
    with pytest.raises(ValueError, match="did not decode in another process"):
        measure.proves_lossless(Offset(), blobs(0))


def test_a_hash_sees_shape_and_type_too():
    from helpers.lossless import pixel_hash

    zeros = [np.zeros((4, 6), np.uint8), np.zeros((6, 4), np.uint8), np.zeros((4, 3), np.uint16)]
    assert len({pixel_hash(image) for image in zeros}) == 3
    big = zeros[2].astype(">u2")
    assert pixel_hash(big) == pixel_hash(zeros[2])


def test_measuring_loads_no_framework_before_it_needs_one():
    script = (
        "import sys, helpers.measure, helpers.figures\n"
        "print(*{'torch', 'tensorflow', 'piq', 'skimage', 'IPython'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert done.stdout.split() == []
