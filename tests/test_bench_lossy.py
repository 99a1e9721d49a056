"""`bench lossy`: curves, BD-rates and what is left out."""

import json

import numpy as np
import pandas as pd
import pytest
from codec_images import phantom

from helpers import codecs, weights
from helpers.bench import lossy as b
from helpers.bench.images import Images
from helpers.cli import main
from helpers.data.readers import write_image


@pytest.fixture(scope="module")
def answer():
    pictures = [phantom(176), phantom(64, np.uint16)]
    return pictures, b.report(Images("phantoms", pictures), ("jpeg", "hyper", "cae-brotli"))


def test_a_row_a_codec_with_its_points(answer):
    rows = {row["codec"]: row for row in answer[1].records()}
    assert set(rows) == {"jpeg2000", "avif", "jpeg", "hyper", "cae-brotli"}
    for name, row in rows.items():
        held = codecs.CATALOGUE[name].dtypes
        assert row["images"] == sum(image.dtype.name in held for image in answer[0])
        assert len(row["points"]) == len(b.SETTINGS[name][1])
        assert row["encode_s"] > 0 and row["decode_s"] > 0
    assert rows["jpeg2000"]["bd_rate_jpeg2000"] == 0 and rows["avif"]["bd_rate_avif"] == 0
    assert rows["jpeg"]["bd_rate_jpeg2000"] > 0
    assert rows["cae-brotli"]["bd_rate_jpeg2000"] is None
    assert rows["hyper"]["weights_kib"] == weights.path("hyper-mse").stat().st_size / 1024
    assert rows["jpeg"]["weights_kib"] == 0
    rates = [point["bpp"] for point in rows["hyper"]["points"]]
    assert rates == sorted(rates)


def test_what_a_codec_does_not_take_is_said(answer):
    left_out = {entry["codec"]: entry for entry in answer[1].left_out}
    assert set(left_out) == {"jpeg", "avif"}
    assert "uint8" in left_out["jpeg"]["reason"]


def curve(codec, rate, image=0):
    quality = np.linspace(30, 48, 8)
    bpp = rate * 2 ** ((quality - 30) / 6) / 8
    columns = {"codec": codec, "image": image, "point": range(8), "bpp": bpp, "psnr": quality}
    return pd.DataFrame(columns)


def test_half_the_bytes_are_minus_fifty_per_cent():
    table = pd.concat([curve("jpeg2000", 1.0), curve("avif", 0.8), curve("other", 0.5)])
    found = b.bd_rates(table).set_index("codec")
    assert found.loc["other", "jpeg2000"] == pytest.approx(-50, abs=0.5)
    assert found.loc["other", "avif"] == pytest.approx(-37.5, abs=0.5)


def test_a_point_that_adds_nothing_is_passed_over():
    bent = curve("other", 0.5)
    bent.loc[3, "psnr"] = bent.loc[2, "psnr"] - 1
    assert b.saved(curve("jpeg2000", 1.0), bent) == pytest.approx(-50, abs=2)
    assert np.isnan(b.saved(None, bent)) and np.isnan(b.saved(bent, bent.iloc[:2]))


def test_the_command_prints_json(tmp_path, capsys):
    write_image(tmp_path / "a.png", phantom(64))
    assert main(["bench", "lossy", "--images", str(tmp_path), "--codecs", "jpeg", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["lossy"]
    assert {row["codec"] for row in rows} == {"jpeg2000", "avif", "jpeg"}
    assert main(["bench", "lossy", "--images", str(tmp_path), "--codecs", "png"]) == 2
    assert "choose among jpeg" in capsys.readouterr().err
