import argparse

import numpy as np
import pytest
from codec_images import phantom

from helpers.codecs import commands
from helpers.data.readers import read_image, write_image
from helpers.errors import BitstreamError, DataError


def run(*words):
    parser = argparse.ArgumentParser()
    commands.add_arguments(parser.add_subparsers(required=True))
    args = parser.parse_args([str(word) for word in words])
    return args.run(args)


@pytest.mark.parametrize("dtype", ["uint8", "uint16"])
@pytest.mark.parametrize("codec", ["jpegls", "jpeg2000"])
def test_lossless_files_come_back(tmp_path, dtype, codec, capsys):
    source, stream, back = (tmp_path / name for name in ("in.png", "s.mic", "out.png"))
    write_image(source, phantom(50, dtype))
    assert run("encode", "--codec", codec, source, stream) == 0
    assert run("info", stream) == 0
    assert run("decode", stream, back) == 0
    assert np.array_equal(read_image(back), phantom(50, dtype))
    said = capsys.readouterr().out
    assert "50 x 50" in said and "by CRC-32" in said and f"{stream.stat().st_size} bytes" in said


@pytest.mark.parametrize("codec", ["spiht", "wavelet", "jpeg", "jpeg2000"])
def test_a_rate_covers_the_whole_file(tmp_path, codec):
    source, stream = tmp_path / "in.png", tmp_path / "s.mic"
    write_image(source, phantom(128))
    assert run("encode", "--codec", codec, "--bpp", 1, source, stream) == 0
    assert 0.85 * 2048 < stream.stat().st_size <= 2048
    assert run("decode", stream, tmp_path / "out.png") == 0


def test_options_reach_the_codec(tmp_path):
    source = tmp_path / "in.png"
    write_image(source, phantom(64))
    sizes = []
    for step in (1, 16):
        stream = tmp_path / f"{step}.mic"
        run("encode", "--codec", "wavelet", "--option", f"step={step}", source, stream)
        sizes.append(stream.stat().st_size)
    assert sizes[0] > 2 * sizes[1]
    run("encode", "--codec", "wavelet", "--psnr", 35, "--option", "wavelet=coif1", source, stream)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".mic", ".mic", ".png"]


def test_no_name_or_place_enters_a_stream(tmp_path):
    folder = tmp_path / "Doe_Jane_1970"
    folder.mkdir()
    write_image(folder / "in.png", phantom(32))
    run("encode", "--codec", "png", folder / "in.png", folder / "s.mic")
    data = (folder / "s.mic").read_bytes()
    assert b"Jane" not in data and b"in.png" not in data and str(tmp_path).encode() not in data


def test_bad_input_is_one_sentence(tmp_path):
    write_image(tmp_path / "in.png", phantom(32))
    with pytest.raises(DataError, match="cannot be read"):
        run("decode", tmp_path / "none.mic", tmp_path / "out.png")
    with pytest.raises(BitstreamError, match="not a stream of this book"):
        run("decode", tmp_path / "in.png", tmp_path / "out.png")
    with pytest.raises(ValueError, match="key=value"):
        run("encode", "--codec", "wavelet", "--option", "step", tmp_path / "in.png", tmp_path / "s")
    with pytest.raises(ValueError, match="no codec 'zip'"):
        run("encode", "--codec", "zip", tmp_path / "in.png", tmp_path / "s.mic")
    for options in (("--bpp", 1, "--option", "bpp=2"), ("--option", "name=png")):
        with pytest.raises(ValueError, match="--option cannot set"):
            run("encode", "--codec", "jpeg", *options, tmp_path / "in.png", tmp_path / "s.mic")
    (tmp_path / "folder.mic").mkdir()
    for place in ("nowhere/s.mic", "folder.mic"):
        with pytest.raises(DataError, match=f"{place} cannot be written"):
            run("encode", "--codec", "png", tmp_path / "in.png", tmp_path / place)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["folder.mic", "in.png"]


def test_the_list_names_every_codec(capsys):
    assert run("codecs") == 0
    said = capsys.readouterr().out
    assert all(name in said for name in commands.CATALOGUE)
