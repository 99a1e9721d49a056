"""The scoreboard: one table from real streams, and what is read off it, on made tables."""

import math
from contextlib import nullcontext

import numpy as np
import pandas as pd
import pytest
from codec_images import phantom
from conftest import parse_strictly

from helpers import codecs, weights
from helpers.bench import lossless, lossy
from helpers.cli import main
from helpers.codecs.rate import rungs
from helpers.data import ImageSet
from helpers.experiments.scoreboard import (
    boards,
    claims,
    data,
    measures,
    pictures,
    reference,
    shown,
)
from helpers.pages import UNKNOWN


def images(*pictures, name="films", bits=8):
    count = len(pictures)
    return ImageSet(
        name=name,
        source="made",
        images=pictures,
        ids=tuple(f"{name}-{k}" for k in range(count)),
        patients=tuple(f"{name}-patient-{k}" for k in range(count)),
        labels=("",) * count,
        bit_depth=bits,
        licence="none",
        citation="nobody, 2020",
    )


@pytest.fixture(scope="module")
def parts():
    return [
        data.Part(data.CHEST, images(phantom(176), phantom(176, seed=1))),
        data.Part(data.BRAIN, images(phantom(64, np.uint16), name="heads", bits=12)),
    ]


@pytest.fixture(scope="module")
def measured(parts):
    """Measured here: that there is a process for it, the tests of the bench see to."""
    with pytest.MonkeyPatch.context() as patch:
        for bench in (lossy, lossless):
            here = nullcontext(lambda call, *rest: call(*rest))
            patch.setattr(bench, "worker", lambda *_, here=here: here)
        return measures.measured(parts, ["jpeg", "jpegls", "avif"])


def test_one_row_an_image_codec_and_point(parts, measured):
    table, left_out = measured
    assert list(table.columns) == measures.COLUMNS
    counts = table.groupby(["kind", "codec", "bits"]).size()
    for codec in ("jpeg", "jpeg2000", "jpegls", "avif"):
        assert counts["lossy", codec, 8] == 2 * len(lossy.points(codec))
    assert counts["lossless", "jpegls", 8] == 2 and counts["lossless", "jpegls", 16] == 1
    assert ("lossy", "jpeg", 16) not in counts and ("lossless", "jpeg", 8) not in counts
    assert table.loc[table["kind"] == "lossless", "exact"].all()
    chest = parts[0].images
    row = table[(table["kind"] == "lossless") & (table["codec"] == "jpegls")].iloc[0]
    assert row["bytes"] == len(codecs.get("jpegls").encode(chest.images[0]))
    assert (row["image_id"], row["patient_id"]) == ("films-0", "films-patient-0")
    said = {entry["codec"]: entry["reason"] for entry in left_out}
    assert "uint16" in said["avif"]


def test_the_reference_run_is_the_same_table(parts, measured, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "held_out", lambda limit: parts)
    monkeypatch.setattr(measures, "measured", lambda parts: measured)
    file = reference.run(2, tmp_path / "scoreboard.json")
    facts = parse_strictly(file)
    assert facts["command"] == "python -m helpers reference scoreboard --limit 2"
    assert facts["weights_sha256"] == {}
    assert [entry["modality"] for entry in facts["images"]] == [data.CHEST, data.BRAIN]
    table = reference.table(file)
    for column in ("codec", "image_id", "bytes", "point"):
        assert table[column].tolist() == measured[0][column].tolist()
    found = boards.lossy_board(table)
    expected = boards.lossy_board(measured[0])
    assert found["codec"].tolist() == expected["codec"].tolist()
    assert found["bd_psnr"].tolist() == pytest.approx(expected["bd_psnr"].tolist(), abs=0.01)


def test_the_run_takes_no_source(capsys):
    assert main(["reference", "scoreboard", "--source", "siar"]) == 2
    assert "leave out --source" in capsys.readouterr().err


def curve(codec, rate, image, model=""):
    quality = np.linspace(30, 48, 8)
    bpp = rate * 2 ** ((quality - 30) / 6) / 8
    columns = {"kind": "lossy", "modality": data.CHEST, "bits": 8, "codec": codec, "bpp": bpp}
    columns |= {"image_id": f"film-{image}", "patient_id": f"child-{image}", "point": range(8)}
    columns |= {"pixels": 65536, "psnr": quality, "ms_ssim": 1 - 10 ** (-quality / 20)}
    columns |= {"encode_s": 0.5, "decode_s": 0.25, "model": model}
    return pd.DataFrame(columns)


@pytest.fixture
def made():
    single = curve("cae-brotli", 1.0, 0).iloc[[3]].assign(point=0, psnr=30.0, model="cae-mri")
    halves = [curve("hyper", share, k, "hyper-mse") for k, share in enumerate((0.5, 0.6))]
    standards = [curve("jpeg2000", 1.0, k) for k in (0, 1)]
    return pd.concat([*standards, *halves, single], ignore_index=True)


def test_half_the_bytes_are_minus_fifty_per_cent(made):
    board = boards.lossy_board(made).set_index("codec")
    assert list(board.index) == ["hyper", "jpeg2000"]  # fewest bytes first; one point is no curve
    row = board.loc["hyper"]
    assert row["bd_psnr"] == pytest.approx(-45, abs=0.5)
    assert row["bd_ms_ssim"] == pytest.approx(-45, abs=0.5)
    assert (row["bd_psnr_low"], row["bd_psnr_high"]) == pytest.approx((-50, -40), abs=0.5)
    assert (row["images"], row["patients"], row["bd_psnr_images"]) == (2, 2, 2)
    assert (row["encode_s"], row["decode_s"]) == (0.5, 0.25)
    size = weights.path("hyper-mse").stat().st_size
    assert row["weights_kib"] == size / 1024
    saved = 65536 * boards.ARCHIVE_BPP / 8 * -row["bd_psnr"] / 100
    assert row["break_even"] == math.floor(size / saved) + 1
    assert math.isnan(board.loc["jpeg2000", "break_even"])


def test_one_point_is_set_beside_jpeg_2000_at_its_rate(made):
    (row,) = boards.points_board(made).to_dict("records")
    theirs = made[(made["codec"] == "jpeg2000") & (made["point"] == 3)].iloc[0]
    assert (row["codec"], row["bpp"]) == ("cae-brotli", theirs["bpp"])
    assert row["gap"] == pytest.approx(30 - theirs["psnr"])
    beyond = made.assign(bpp=np.where(made["codec"] == "cae-brotli", 20.0, made["bpp"]))
    (row,) = boards.points_board(beyond).to_dict("records")
    assert math.isnan(row["gap"])


def lossless_rows(codec, sizes, model=""):
    count = len(sizes)
    columns = {"kind": "lossless", "modality": data.BREAST, "bits": 16, "codec": codec}
    columns |= {"image_id": [f"film-{k}" for k in range(count)], "point": 0, "pixels": 8000}
    columns |= {"patient_id": [f"woman-{k}" for k in range(count)], "bytes": sizes}
    columns |= {"bpp": 8 * np.array(sizes) / 8000, "model": model, "exact": True}
    return pd.DataFrame(columns | {"encode_s": 1.0, "decode_s": 2.0})


def test_lossless_codecs_by_bits_a_pixel():
    table = pd.concat(
        [
            lossless_rows("png", [4000, 6000]),
            lossless_rows("jpegxl-3", [3000, 2900]),
            lossless_rows("jpegxl-7", [2000, 3000]),
            lossless_rows("learned", [1900, 2700], "lossless-mammography"),
        ]
    )
    board = boards.lossless_board(table)
    assert board["codec"].tolist() == ["learned", "jpegxl-7", "jpegxl-3", "png"]
    first = board.iloc[0]
    assert (first["bpp"], first["bpp_low"], first["bpp_high"]) == (2.3, 1.9, 2.7)
    assert first["exact"] and first["bits"] == 16
    size = weights.path("lossless-mammography").stat().st_size
    assert first["break_even"] == math.floor(size / (2450 - 2300)) + 1
    rows = shown.lossless(board)
    assert rows.loc[0, "bits a pixel"] == "2.30 [1.90, 2.70]"
    assert rows.loc[1, "Codec"] == "JPEG XL, effort 7"
    assert rows.loc[1, "Modality"] == "mammogram, 16 bits"
    beside = shown.beside(board, board[board["codec"] != "png"], "bpp", "{:.2f}")
    assert beside.loc[0, "This run"] == beside.loc[0, "Reference"] == "2.30 [1.90, 2.70]"
    assert beside.iloc[-1]["Reference"] == "–"


def test_every_codec_of_the_catalogue_is_listed(made):
    found = boards.catalogue(made).set_index("codec")
    assert list(found.index) == codecs.names()
    assert found.loc["hyper", "weights_kib"] > 1000
    assert math.isnan(found.loc["png", "weights_kib"])  # was not measured here
    table = shown.codecs(found.reset_index()).set_index("Codec")
    assert table.loc["PNG", "Kind"] == "lossless" and table.loc["JPEG XL", "Kind"] == "both"
    rows = shown.lossy(boards.lossy_board(made))
    assert rows.loc[1, "BD-rate, PSNR (%)"].startswith("+0.0")
    assert rows.loc[0, "encode (ms)"] == 500


def test_points_of_codecs_old_and_new():
    assert lossy.points("jpeg")[0] == {"level": 5}
    assert lossy.points("cae-brotli") == lossy.points("shrink") == ({},)
    ladder = rungs("hyper", 8)  # as for a codec that the bench does not know
    assert [options["level"] for options in ladder] == [0, 9, 18, 27, 36, 45, 54, 63]
    assert rungs("png", 8) == ()


def test_pictures_at_equal_rates():
    image = phantom(64)
    found = pictures.at_rates(image, ["jpeg", "jpeg2000"], [0.5, 2.0])
    assert list(found) == [(c, r) for c in ("jpeg", "jpeg2000") for r in ("0.5", "2")]
    for (name, rate), (picture, bpp, quality) in found.items():
        assert picture.shape == image.shape
        assert bpp <= float(rate) or name == "jpeg"
        assert 10 < quality < 80
    assert pictures.compared()[:4] == list(pictures.STANDARDS)
    assert "hyper" in pictures.compared()
    bright = np.zeros((20, 30), np.uint8)
    bright[3:7, 4:9] = 200
    assert pictures.around(bright) == (slice(3, 7), slice(4, 9))


def test_the_middle_image_is_neither_easy_nor_hard():
    table = pd.concat([curve("jpeg2000", rate, k) for k, rate in enumerate((4.0, 1.0, 2.0))])
    others = curve("hyper", 0.1, 1)
    assert pictures.middle(pd.concat([table, others])) == "film-2"


def test_claims_as_shown_and_counted():
    columns = ["paper", "id", "place", "what", "unit", "claimed", "reference", "run", "verdict"]
    rows = [
        ("one", "a", "Table 1", "PSNR", "dB", 36.98, math.nan, 30.0, "not reproduced"),
        ("one", "b", "Table 2", "size", "kB", math.nan, 71.0, 72.0, "reproduced"),
        ("two", "c", "Text", "words", "", math.nan, math.nan, math.nan, UNKNOWN),
    ]
    found = pd.DataFrame(rows, columns=columns).assign(reason="because")
    counts = claims.counted(found)
    assert list(counts.columns) == ["reproduced", "not reproduced", UNKNOWN]
    assert counts.loc["one"].tolist() == [1, 1, 0] and counts.to_numpy().sum() == len(found)
    table = claims.shown(found)
    assert table.shape == (3, 7)
    assert table.loc[0, "Claim"] == "PSNR (Table 1)"
    assert table.loc[0, ["Paper", "Reference", "This run"]].tolist() == [
        "36.98 dB",
        "–",
        "30.00 dB",
    ]
    assert table.loc[1, "Chapter"] == "{doc}`one <../chapters/one>`"
