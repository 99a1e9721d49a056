"""The command `bench`: rates and speed, and what all of its subjects share."""

import json
import os

import numpy as np
import pandas as pd
import pytest
from codec_images import phantom

from helpers.bench import commands, images, rates
from helpers.bench.speed import SIDES
from helpers.bench.worker import ONE_THREAD, worker
from helpers.cli import main
from helpers.data import load
from helpers.data.patches import HELD_OUT, LEARNT_FROM
from helpers.data.readers import write_image
from helpers.errors import DataError


def test_the_benchmark_measures_a_folder(tmp_path, capsys):
    for seed in (0, 1):
        write_image(tmp_path / f"{seed}.png", phantom(96, seed=seed))
    words = ["bench", "rd", "--images", str(tmp_path), "--codecs", "spiht", "jpeg"]
    assert main([*words, "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["images"]["count"] == 2 and answer["images"]["dtypes"] == {"uint8": 2}
    rows = answer["rate_distortion"]
    assert len(rows) == 2 * 3 * len(rates.RATES)
    assert all(row["bpp"] <= row["target_bpp"] for row in rows if row["bpp"])
    assert all(
        row["gap"] == 0 for row in rows if row["codec"] == "jpeg2000" and row["gap"] is not None
    )
    assert np.mean([row["gap"] for row in rows if row["codec"] == "spiht" and row["gap"]]) > -1
    assert main(words) == 0
    assert "spiht" in capsys.readouterr().out


def test_our_wavelet_codecs_keep_pace_with_jpeg_2000_on_brains():
    """The book's bound: SPIHT within 1 dB and the Coiflet codec within 2.5 dB, 0.25 to 2 bpp."""
    slices = list(load("brain-mri", slices=1))
    frame = rates.rate_distortion(slices, ("jpeg2000", "wavelet", "spiht"))
    gaps = frame.groupby("codec")["gap"].min()
    assert frame["gap"].notna().all() and len(frame) == 4 * 3 * len(slices)
    assert gaps["spiht"] > -1 and gaps["wavelet"] > -2.5


def test_no_images_is_one_sentence(tmp_path, capsys):
    assert main(["bench", "--count", "0"]) == 2
    assert main(["bench", "--images", str(tmp_path)]) == 2
    first, second = capsys.readouterr().err.splitlines()
    assert first == "--count must be 1 or more, not 0."
    assert second.startswith("There is no image in")


def test_help_explains_each_subject(capsys):
    with pytest.raises(SystemExit):
        main(["bench", "--help"])
    text = capsys.readouterr().out
    assert all(f"  {name} " in text and of.HELP in text for name, of in commands.SUBJECTS.items())


def test_speed_is_measured_or_says_why_not(tmp_path, capsys):
    write_image(tmp_path / "a.tif", phantom(64, np.int16))
    words = ["bench", "speed", "--images", str(tmp_path), "--codecs", "png", "htj2k"]
    assert main([*words, "--json"]) == 0
    printed = capsys.readouterr()
    table = pd.DataFrame(json.loads(printed.out)["speed"])
    assert list(table.side) == list(SIDES) and set(table.codec) == {"htj2k"}
    assert (table.encode_mb_s > 1).all() and (table.decode_mb_s > 1).all()
    assert np.allclose(table.encode_s * table.encode_mb_s, 2 * table.side**2 / 1e6)
    assert table.peak_mib.iloc[-1] > 0.5  # a megapixel does not fit in half a megabyte
    assert printed.err.startswith("png, 1 image left out: 'png' holds uint8 and uint16 pixels")
    assert printed.err.count("\n") == 1


def test_a_worker_has_one_thread_and_its_end_is_one_sentence():
    before = dict(os.environ)
    with worker() as call:
        assert os.environ == before
        assert {name: call(os.getenv, name) for name in ONE_THREAD} == ONE_THREAD
    with pytest.raises(DataError, match="ended before it answered"), worker() as call:
        call(os._exit, 3)


def test_the_images_held_out_are_of_people_that_no_network_knows():
    found = images.held_out(7)
    assert [(facts["set"], facts["images"]) for facts in found.sets] == [
        ("brain-mri", 2),
        ("chest-xray", 3),
        ("mammography", 2),
    ]
    assert found.sets[0]["patients"] == ["petdeface1"]
    assert found.sets[2]["patients"] == list(HELD_OUT) and not set(HELD_OUT) & set(LEARNT_FROM)
    assert {facts["source"] for facts in found.sets} == {"open-pack"}
    assert found.facts()["dtypes"] == {"uint16": 4, "uint8": 3}
    assert all(image.shape == (images.PATCH,) * 2 for image in found.pixels[-2:])
