"""`bench lossless`: bytes, shares, exactness and what is left out."""

import json

import numpy as np
import pandas as pd
import pytest
from codec_images import phantom

from helpers import codecs, weights
from helpers.bench import lossless as b
from helpers.cli import main
from helpers.data.readers import write_image
from helpers.errors import BitstreamError


@pytest.fixture(scope="module")
def answer(tmp_path_factory):
    """Two 8-bit images, one of 16 bits and a signed one, by all lossless codecs."""
    folder = tmp_path_factory.mktemp("scans")
    (folder / "more").mkdir()
    pictures = [phantom(64), phantom(48, seed=1), phantom(64, np.uint16), phantom(64, np.int16)]
    for number, image in enumerate(pictures):
        write_image(folder / "more" / f"{number}.tif", image)
    images = b.Images("phantoms", pictures)
    return pictures, b.report(images, None), folder


def rows_of(answer):
    return {row["codec"]: row for row in answer[1].records()}


def test_every_lossless_codec_is_measured_and_exact(answer):
    rows = rows_of(answer)
    expected = set(codecs.names(lossless=True)) - {"jpegxl"} | set(b.JPEG_XL)
    assert set(rows) == expected
    for name, row in rows.items():
        held = codecs.CATALOGUE["jpegxl" if name in b.JPEG_XL else name].dtypes
        taken = [image for image in answer[0] if image.dtype.name in held]
        assert row["images"] == row["exact"] == len(taken), name
        assert row["pixels"] == sum(image.size for image in taken)
        assert row["encode_mb_s"] > 0 and row["decode_mb_s"] > 0
        assert row["share_of_best_worst"] >= row["share_of_best_mean"]
    shares = [row["share_of_best"] for row in answer[1].records()]
    assert shares == sorted(shares)


def test_bytes_are_whole_streams_against_the_best_of_three_efforts(answer):
    rows, images = rows_of(answer), answer[0]
    sizes = {
        name: [len(codecs.get(name, **options).encode(image)) for image in images[:3]]
        for name, options in (("png", {}), ("jpegxl", {"effort": "best"}))
    }
    png = rows["png"]
    assert png["bytes"] == sum(sizes["png"])
    assert png["bpp"] == pytest.approx(8 * png["bytes"] / png["pixels"])
    share = np.divide(sizes["png"], sizes["jpegxl"])
    assert png["share_of_jpegxl"] == pytest.approx(sum(sizes["png"]) / sum(sizes["jpegxl"]))
    assert png["share_of_jpegxl_mean"] == pytest.approx(share.mean())
    assert png["share_of_jpegxl_worst"] == pytest.approx(share.max())
    assert png["weights_kib"] == 0 and png["break_even"] is None
    own = rows["ae-delta"]
    assert own["weights_kib"] == weights.path("delta-cnn1").stat().st_size / 1024
    assert own["bytes"] == sum(len(codecs.get("ae-delta").encode(image)) for image in images[:2])


def test_what_a_codec_does_not_take_is_left_out(answer):
    left_out = {(entry["codec"], entry["images"], entry["what"]) for entry in answer[1].left_out}
    assert ("png", 1, "left out") in left_out and ("webp", 1, "left out") in left_out
    assert not any(codec == "jpeg2000" for codec, _, _ in left_out)
    assert "-" in answer[1].text and "share of JPEG XL" in answer[1].text.splitlines()[1]


def test_the_command_prints_json_and_sentences(answer, capsys):
    words = ("bench", "lossless", "--images", str(answer[2]), "--codecs", "avif", "--count", "2")
    assert main([*words, "--json"]) == 0
    printed = capsys.readouterr()
    found = json.loads(printed.out)
    assert found["images"]["count"] == 2 and found["images"]["dtypes"] == {"uint8": 1, "int16": 1}
    assert {row["codec"] for row in found["lossless"]} == {*b.STANDARDS, "avif"}
    assert found["machine"]["versions"]["imagecodecs"]
    assert len(printed.err.splitlines()) == len(found["left_out"]) == 7
    assert "avif, 1 image left out: it holds uint8 pixels, not int16.\n" in printed.err


def test_only_lossless_codecs_are_asked_for():
    with pytest.raises(ValueError, match="'jpeg' is never lossless; choose among png"):
        b.measure([phantom(16)], ["jpeg"])
    with pytest.raises(ValueError, match="no codec 'nothing'"):
        b.measure([phantom(16)], ["nothing"])


def test_missing_weights_and_frameworks_are_a_reason(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    assert "no weights named 'delta-cnn1'" in b._encode("ae-delta", phantom(32))
    error = ImportError("No module named 'frame'", name="frame")
    assert b.reason(error) == ("the package 'frame' is missing (see: python -m helpers check-env)")


def test_a_stream_names_the_weights_that_decode_it(tiny_networks):
    image = phantom(32)
    stream = codecs.get("ae-delta", model="tiny").encode(image)
    fingerprint, seconds = b._decode("ae-delta", stream)  # not the codec's usual network
    assert fingerprint == b.pixel_hash(image) and seconds > 0
    reason, seconds = b._decode("ae-delta", stream[:-1])
    assert np.isnan(seconds) and "truncated" in reason
    with pytest.raises(BitstreamError):
        codecs.get("ae-delta").decode(stream)


def table(*rows):
    return pd.DataFrame(
        [(*row[:2], 1000, 1000, *row[2:4], 0.5, 0.25, row[4]) for row in rows], columns=b.COLUMNS
    )


def test_weights_pay_for_themselves_or_never(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    for name in ("head", "chest"):
        (tmp_path / f"{name}.safetensors").write_bytes(bytes(150))
    others = [("jpegxl-7", 0, 100, "", True), ("jpegxl-9", 1, 60, "", True)]
    own = [("own", 0, 80, "head", True), ("own", 1, 50, "chest", True)]
    found = b.lossless(table(*others, *own)).set_index("codec").loc["own"]
    assert found.weights_kib == 300 / 1024
    assert found.break_even == 21  # 20 images come out even at 15 bytes each
    assert found.share_of_jpegxl == 130 / 160
    assert found.share_of_jpegxl_worst == 50 / 60
    assert found.encode_mb_s == 0.002 and found.decode_mb_s == 0.004
    dearer = [("own", 0, 101, "head", True), ("own", 1, 60, "head", True)]
    never = b.lossless(table(*others, *dearer)).set_index("codec").loc["own"]
    assert np.isinf(never.break_even) and never.weights_kib == 150 / 1024


def test_an_inexact_stream_is_no_standard_to_be_measured_by():
    rows = [("jpegxl-3", 0, 10, "", False), ("jpegxl-9", 0, 100, "", True)]
    found = b.lossless(table(*rows)).set_index("codec")
    assert found.exact.to_dict() == {"jpegxl-3": 0, "jpegxl-9": 1}
    assert found.share_of_jpegxl["jpegxl-9"] == 1
