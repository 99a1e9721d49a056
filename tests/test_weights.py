"""Weights that travel with the book: what the card says is what the file holds."""

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest
import torch
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


@pytest.mark.parametrize("name", SHIPPED)
def test_a_card_describes_its_file(name):
    data, card = weights.path(name).read_bytes(), weights.card(name)
    assert card["sha256"] == hashlib.sha256(data).hexdigest() == weights.sha256(name).hex()
    assert card["bytes"] == len(data)
    assert card["name"] == name
    stored = load_file(weights.path(name))
    trained = (t.numel() for key, t in stored.items() if "/moving_" not in key)  # see BatchNorm
    assert card["parameters"] == sum(trained)
    assert card["stored_as"] == "float16"
    assert {tensor.dtype for tensor in stored.values()} == {torch.float16}
    assert all(tensor.isfinite().all() for tensor in stored.values())


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
