"""What all experiments share: options, cards, and results kept as files."""

import argparse
import json
import math

import numpy as np
import pandas as pd
import pytest
from codec_images import phantom

from helpers.cli import main
from helpers.data import ImageSet
from helpers.errors import DataError
from helpers.experiments import commands, results


def made(patients, source="made"):
    count = len(patients)
    return ImageSet(
        name="films",
        source=source,
        images=tuple(phantom(16, seed=i) for i in range(count)),
        ids=tuple(f"film{i}" for i in range(count)),
        patients=tuple(patients),
        labels=("",) * count,
        bit_depth=8,
        licence="none",
        citation="nobody, 2020",
    )


@pytest.mark.parametrize(
    ("value", "kept"),
    [
        (math.nan, None),
        (1 / 3, 0.333333),
        (123456789.0, 123457000),
        (7, 7),
        (123456789, 123456789),
        (True, True),
        ("a", "a"),
    ],
)
def test_numbers_are_kept_as_json(value, kept):
    assert results._short(value) == kept


def test_a_table_comes_back_from_its_file(tmp_path):
    table = pd.DataFrame(
        {"codec": ["a", "b"], "bpp": [1.25, np.nan], "exact": [True, False], "films": [3, 4]}
    )
    result = {**results.header("paper", "do it"), "tables": {"one": results.rows(table)}}
    file = results.write(result, tmp_path / "new" / "r.json")
    assert results.read(file, "do it") == json.loads(json.dumps(result))
    back = results.tables(results.read(file, "do it"))["one"]
    pd.testing.assert_frame_equal(back, table, check_dtype=False)
    with pytest.raises(ValueError, match="not JSON compliant"):
        results.write({"tables": math.inf}, file)
    assert results.read(file, "do it")["paper"] == "paper"  # what was there is left alone
    assert [path.name for path in file.parent.iterdir()] == ["r.json"]
    with pytest.raises(DataError, match=r"gone\.json is missing; make it with: do it\."):
        results.read(tmp_path / "gone.json", "do it")


def test_a_header_says_what_when_and_where():
    header = results.header("paper", "do it")
    assert (header["paper"], header["command"]) == ("paper", "do it")
    assert header["date"] and header["device"] and header["versions"]
    described = results.images(made("aab"), "test")
    assert (described["side"], described["images"]) == ("test", 3)
    assert described["patients"] == ["a", "b"]
    used = [described, results.images(made("c", "other"), "train"), described]
    assert results.sources(used) == ["made", "other"]


@pytest.mark.parametrize(("text", "number"), [("1", 1), ("0048", 48)])
def test_whole_numbers_from_one_on_are_read(text, number):
    assert commands.positive(text) == number


@pytest.mark.parametrize("text", ["0", "-3", "1.5", "", "many", "²"])
def test_other_numbers_are_refused(text):
    with pytest.raises(argparse.ArgumentTypeError, match="must be 1 or more"):
        commands.positive(text)


@pytest.mark.parametrize("command", ["train", "reference"])
def test_each_chapter_has_its_options(command, capsys):
    untrained = {"scoreboard"} if command == "train" else set()  # it only compares
    for name in commands.PACKAGES.keys() - untrained:
        with pytest.raises(SystemExit) as ended:
            main([command, name, "--help"])
        assert ended.value.code == 0
        said = capsys.readouterr().out
        assert "--source" in said and ("--minutes" in said) == (command == "train")
    with pytest.raises(SystemExit) as ended:
        main([command, "no-chapter"])
    assert ended.value.code == 2
    assert "invalid choice: 'no-chapter'" in capsys.readouterr().err
