"""Weights that travel with the book: what the card says is what the file holds."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from safetensors.numpy import save as to_bytes
from safetensors.torch import load_file

from helpers import weights
from helpers.codecs.cae import CaeCodec
from helpers.codecs.container import pack, unpack
from helpers.errors import DataError
from helpers.models.cae import ConvAutoencoder

SHIPPED = sorted(file.stem for file in weights.FOLDER.glob("*.safetensors"))


@pytest.fixture(autouse=True)
def only_the_books(monkeypatch):
    monkeypatch.delenv("MEDCODEC_WEIGHTS", raising=False)


def test_the_weights_of_the_book_are_there():
    assert "cae-mri" in SHIPPED


def check_card(name):
    data, card = weights.path(name).read_bytes(), weights.card(name)
    assert card["sha256"] == hashlib.sha256(data).hexdigest() == weights.sha256(name).hex()
    assert card["bytes"] == len(data)
    assert card["name"] == name
    stored = load_file(weights.path(name))
    # neither averages of BatchNorm or of bands are trained, nor tables, nor scales of levels
    fixed = ("/moving_", ":scale", "spread")
    trained = (
        tensor.numel()
        for key, tensor in stored.items()
        if tensor.dtype != torch.int32 and not any(part in key for part in fixed)
    )
    assert card["parameters"] == sum(trained)
    kinds = [getattr(torch, kind) for kind in card["stored_as"].split(" and ")]
    assert kinds in ([torch.float16], [torch.int8, torch.float16], [torch.float16, torch.int32])
    assert {tensor.dtype for tensor in stored.values()} == set(kinds)
    assert all(tensor.isfinite().all() for tensor in stored.values())


@pytest.mark.parametrize("name", SHIPPED)
def test_a_card_describes_its_file(name):
    check_card(name)


def test_shipped_weights_fill_the_network():
    state = weights.load("cae-mri")
    assert {tensor.dtype for tensor in state.values()} == {torch.float32}
    model = ConvAutoencoder()
    model.load_state_dict(state)  # strict: no name missing, none too many
    assert weights.card("cae-mri")["parameters"] == 5_477_121


def test_an_unknown_name_is_explained():
    for ask in (weights.path, weights.load, weights.card, weights.sha256):
        for name in ("nobody", 3):  # `--option model=3` on the command line is a number
            with pytest.raises(DataError, match=rf"no weights named '{name}'.*cae-mri"):
                ask(name)


def test_weights_are_looked_up_and_read_without_a_framework(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    assert weights.exists("cae-mri") and not weights.exists("own")
    state = {"b": np.array([1 / 3, 2]), "a": np.zeros((2, 3))}
    card = weights.save(state, weights.own("own"), {"name": "own"})
    assert weights.exists("own") and weights.own("own") == weights.path("own")
    for arrays in (weights.arrays("own"), weights.read(weights.own("own"))):
        assert arrays.keys() == state.keys()
        for name, values in arrays.items():
            assert values.dtype == np.float32
            assert np.array_equal(values, state[name].astype(np.float16))
    assert weights.read_card(weights.own("own")) == weights.card("own") == card
    weights.own("own").write_bytes(b"half a file")
    with pytest.raises(DataError, match=r"own\.safetensors cannot be read"):
        weights.arrays("own")


def test_a_name_does_not_lead_out_of_the_folder(tmp_path, monkeypatch):
    weights.save({"w": torch.zeros(2)}, tmp_path / "elsewhere.safetensors", {})
    (tmp_path / "own").mkdir()
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path / "own"))
    for name in ("../elsewhere", str(tmp_path / "elsewhere")):
        with pytest.raises(DataError, match="no weights named"):
            weights.path(name)


def test_a_folder_of_ones_own_comes_first(tmp_path, monkeypatch):
    state = {"layer.weight": torch.tensor([1 / 3, -2.0, 70.0])}
    card = weights.save(state, tmp_path / "deep" / "own.safetensors", {"parameters": 3})
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path / "deep"))
    assert weights.card("own") == card
    assert card["bytes"] == weights.path("own").stat().st_size
    assert card["sha256"] == weights.sha256("own").hex()
    kept = weights.load("own")["layer.weight"]
    assert torch.equal(kept, state["layer.weight"].half().float())
    assert weights.path("cae-mri").parent == weights.FOLDER  # the book's are still found
    assert CaeCodec("own").weights_hash.hex() == card["sha256"][:8]

    weights.save(state, tmp_path / "deep" / "cae-mri.safetensors", {})
    assert weights.path("cae-mri").parent == tmp_path / "deep"
    leftovers = {path.suffix for path in (tmp_path / "deep").iterdir()}
    assert leftovers == {".safetensors", ".json"}


def test_weights_that_do_not_fit_are_explained(tmp_path, monkeypatch):
    image = np.zeros((32, 32), np.uint8)
    weights.save({"w": torch.zeros(2)}, tmp_path / "other.safetensors", {})
    (tmp_path / "broken.safetensors").write_bytes(b"half a file")
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    with pytest.raises(DataError, match="'other' are those of another network"):
        CaeCodec("other").encode(image)
    with pytest.raises(DataError, match=r"broken\.safetensors cannot be read"):
        CaeCodec("broken").encode(image)
    (tmp_path / "cae-mri.safetensors").write_bytes(weights.path("cae-mri").read_bytes())
    stream = CaeCodec("cae-mri").encode(image)
    header, payload = unpack(stream)
    damaged = b"half a file"
    (tmp_path / "cae-mri.safetensors").write_bytes(damaged)
    forged = replace(header, weights=hashlib.sha256(damaged).digest())
    with pytest.raises(DataError, match=r"cae-mri\.safetensors cannot be read"):
        CaeCodec("cae-mri").decode(pack(forged, payload))


def test_a_file_that_changes_has_another_hash(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    hashes = set()
    for value in range(3):
        weights.save({"w": torch.full((4,), float(value))}, tmp_path / "own.safetensors", {})
        assert (
            weights.sha256("own").hex()
            == json.loads((tmp_path / "own.json").read_text(encoding="utf-8"))["sha256"]
        )
        hashes.add(weights.sha256("own"))
    assert len(hashes) == 3


LONG = 2**18 + 1  # four times that are just more than 2**20


def large_state(seed=0):
    """Two large matrices, whose short axes run over very different sizes, and what is small."""
    rng = np.random.default_rng(seed)
    sizes = np.array([0.004, 3.0, 1e-5, 9_000.0], np.float32)
    return {
        "wide": sizes[:, None] * rng.standard_normal((4, LONG), np.float32),
        "tall": (sizes[:, None] * rng.standard_normal((4, LONG), np.float32)).T,
        "tensor": rng.standard_normal((2, 2, LONG), np.float32),
        "matrix": rng.standard_normal((64, 64), np.float32),
        "norm/moving_mean": rng.standard_normal(7, np.float32),
    }


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    return tmp_path


def test_large_matrices_in_8_bits_come_back_within_half_a_step(folder):
    state = large_state()
    state["wide"][0] = 0  # has no largest weight
    count = sum(values.size for name, values in state.items() if "moving" not in name)
    about = {"name": "own", "parameters": count, "stored_as": "int8 and float16"}
    tensors = {name: torch.from_numpy(values) for name, values in state.items()}
    card = weights.save(tensors, folder / "own.safetensors", about, bits=8)
    assert weights.save(state, folder / "own.safetensors", about, bits=8) == card
    check_card("own")
    stored = load_file(weights.path("own"))
    assert [key for key, t in stored.items() if t.dtype == torch.int8] == ["tall", "wide"]
    assert stored["wide:scale"].shape == (4, 1) and stored["tall:scale"].shape == (1, 4)

    back = weights.arrays("own")
    assert back.keys() == state.keys()
    for name, axis in (("wide", 1), ("tall", 0)):
        step = np.abs(state[name]).max(axis, keepdims=True) / 127
        step = step * (1 + 2**-10) + 2.0**-24  # as float16 holds it, rounded up
        error = np.abs(back[name] - state[name])
        assert back[name].dtype == np.float32 and back[name].flags.c_contiguous
        assert (error <= 0.5001 * step).all()
        assert (np.abs(stored[name].numpy()).max(axis) >= 63)[1 if name == "wide" else 0 :].all()
    assert not back["wide"][0].any()
    for name in ("tensor", "matrix", "norm/moving_mean"):
        assert np.array_equal(back[name], state[name].astype(np.float16))
    assert all(torch.equal(t, torch.from_numpy(back[k])) for k, t in weights.load("own").items())


def test_16_bits_and_small_files_hold_no_levels(folder):
    for name, state, bits in (("large", large_state(), 16), ("small", {"w": np.eye(99)}, 8)):
        weights.save(state, folder / f"{name}.safetensors", {}, bits)
        kinds = {tensor.dtype for tensor in load_file(weights.path(name)).values()}
        assert kinds == {torch.float16}
    with pytest.raises(ValueError, match="in 16 or in 8 bits, not in 4"):
        weights.save({"w": np.eye(2)}, folder / "other.safetensors", {}, bits=4)
    assert not weights.exists("other")


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, 65_510 * 127.0])
@pytest.mark.parametrize("name", ["wide", "tall"])
def test_large_matrices_that_are_not_finite_are_refused(folder, name, value):
    matrix = large_state()[name]
    matrix[2, 3] = value
    with pytest.raises(ValueError, match="the training diverged"):
        weights.save({"w": matrix}, folder / "own.safetensors", {}, bits=8)
    assert not weights.exists("own")


LEVELS, SCALE = np.ones((2, 3), np.int8), np.ones((2, 1), np.float16)


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        ({"w:scale": SCALE}, "'w:scale' belongs to no matrix in 8 bits"),
        ({"w": SCALE, "w:scale": SCALE}, "'w:scale' belongs to no matrix in 8 bits"),
        ({"w": LEVELS}, "'w' has no scale for its 8-bit levels"),
        ({"w": LEVELS, "v:scale": SCALE}, "'w' has no scale"),
        ({"w": LEVELS, "w:scale": SCALE[:1]}, "'w' has no scale"),
        ({"w": LEVELS, "w:scale": SCALE[:, 0]}, "'w' has no scale"),
        ({"w": LEVELS, "w:scale": np.ones((3, 1), np.float16)}, "'w' has no scale"),
        ({"w": LEVELS, "w:scale": np.ones((2, 3), np.float16)}, "'w' has no scale"),
        ({"w": LEVELS[0], "w:scale": SCALE}, "'w' has no scale"),
        ({"w": np.array(3, np.int8), "w:scale": SCALE}, "'w' has no scale"),
    ],
)
def test_damaged_8_bit_weights_are_one_sentence(folder, stored, reason):
    (folder / "own.safetensors").write_bytes(to_bytes(stored))
    with pytest.raises(DataError, match=rf"own\.safetensors cannot be read \({reason}"):
        weights.arrays("own")
    good = {"w": LEVELS, "w:scale": 2 * SCALE}
    (folder / "own.safetensors").write_bytes(to_bytes(good))
    assert np.array_equal(weights.arrays("own")["w"], np.full((2, 3), 2))


def test_sizes_count_what_the_weights_build_on():
    one, two = (weights.path(name).stat().st_size for name in ("hific-chest", "hyper-mse"))
    assert weights.size(["hific-chest"]) == one + two
    assert weights.size(["hific-chest", "hyper-mse", ""]) == one + two
    assert weights.size([""]) == 0
