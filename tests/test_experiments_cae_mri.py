"""The experiment of the auto-encoder chapter: honest splits, honest means, a sound reference."""

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
import pytest
import torch
from codec_images import phantom
from conftest import parse_strictly

from helpers import weights
from helpers.cli import main
from helpers.data import ImageSet
from helpers.errors import DataError
from helpers.experiments import comparisons
from helpers.experiments.cae_mri import data, reference, training
from helpers.experiments.cae_mri import measurements as m
from helpers.models.cae import ConvAutoencoder
from helpers.schedule import Schedule

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture(autouse=True)
def only_what_travels_with_the_book(monkeypatch):
    monkeypatch.delenv("MEDCODEC_DATA", raising=False)
    monkeypatch.delenv("MEDCODEC_WEIGHTS", raising=False)


@pytest.fixture(scope="module")
def open_pack():
    """Both sides of the open pack, as the shipped weights were trained and are tested."""
    return data.sets(source="open-pack")


def made(patients, side=32, source="made"):
    count = len(patients)
    return ImageSet(
        name="brain-mri",
        source=source,
        images=tuple(phantom(side, seed=i) for i in range(count)),
        ids=tuple(f"slice{i}" for i in range(count)),
        patients=tuple(patients),
        labels=("",) * count,
        bit_depth=8,
        licence="none",
        citation="none",
    )


def test_no_patient_is_on_both_sides(open_pack, monkeypatch):
    train, test = open_pack
    assert set(test.patients) == set(data.HELD_OUT["open-pack"])
    assert not set(train.patients) & set(test.patients)
    assert not set(train.ids) & set(test.ids)
    monkeypatch.setattr(data, "load", lambda *_, **__: made("aabbccddeeff"))
    for seed in range(5):
        train, test = data.sets(seed=seed)
        assert len(train) + len(test) == 12
        assert not set(train.patients) & set(test.patients)


def test_a_split_by_slice_shares_patients_but_no_slice():
    train, test = data.sets(32, "open-pack", split="slice")
    assert set(train.patients) & set(test.patients)
    assert not set(train.ids) & set(test.ids)
    assert len(test) == round(0.2 * (len(train) + len(test)))


def test_the_shipped_weights_never_saw_a_test_patient(open_pack):
    card = weights.card("cae-mri")
    assert card["split"] == "patient"
    assert card["schedule"]["epochs"] == training.PAPER.epochs
    trained = {entry["source"]: set(entry["patients"]) for entry in card["trained_on"]}
    held_out = {entry["source"]: set(entry["patients"]) for entry in card["held_out"]}
    assert set(trained) == set(held_out) == set(data.HELD_OUT)
    for source, patients in data.HELD_OUT.items():
        assert held_out[source] == set(patients)
        assert not trained[source] & set(patients)
    for side, images in zip(("trained_on", "held_out"), open_pack, strict=True):
        facts = next(entry for entry in card[side] if entry["source"] == "open-pack")
        assert facts["fingerprint"] == images.fingerprint  # the very pixels of that training
        assert facts["images"] == len(images)


@pytest.fixture
def small(monkeypatch, tmp_path):
    """A reference run that takes a second: one small slice a side, one standard codec."""
    monkeypatch.setattr(reference, "SIZE", 192)
    monkeypatch.setattr(comparisons, "STANDARDS", ("jpeg2000",))
    monkeypatch.setattr(
        comparisons, "curves", partial(comparisons.curves, rates=(0.5, 2.0), families=("jpeg2000",))
    )
    return tmp_path / "results" / "small.json"


def test_a_reference_run_writes_what_it_measured(small):
    assert reference.run(["open-pack"], 1, small) == small
    result, tables = parse_strictly(small), reference.load(small)
    assert result["weights_sha256"] == weights.card("cae-mri")["sha256"]
    assert result["command"].endswith("reference cae-brotli-mri --source open-pack")
    assert [(entry["side"], entry["images"]) for entry in result["images"]] == [
        ("train", 1),
        ("test", 1),
    ]
    assert set(tables["variants"]["side"]) == {"train", "test"}
    assert set(tables["variants"]["codec"]) == set(m.VARIANTS)
    assert set(tables["steps"]["codec"]) == set(m.STEPS)
    assert tables["curves"]["point"].tolist() == [0.5, 2.0]
    assert tables["curves"]["psnr"].is_monotonic_increasing
    both = tables["variants"].query("side == 'test' and codec == 'CAE + Brotli'")
    assert tables["equal_bytes"]["bytes"].item() <= both["bytes"].item()

    before = reference.facts(small)["tables"]
    reference.compare_models(["open-pack"], {"ours": "cae-mri"}, small, limit=1)
    after = parse_strictly(small)
    assert {key: after["tables"][key] for key in before} == before
    assert after["models"]["ours"]["split"] == "patient"
    assert reference.load(small)["models"][["codec", "images"]].values.tolist() == [["ours", 1]]


def test_models_are_compared_on_slices_that_none_was_trained_on(small, monkeypatch):
    small.parent.mkdir()
    small.write_text('{"tables": {}}', encoding="utf-8")
    seen = []

    def variants(images, configs, metrics, model):
        seen.extend(images.ids)
        rows = dict.fromkeys(comparisons.AVERAGED, 1.0) | {"codec": next(iter(configs))}
        return pd.DataFrame([rows | {"patient_id": name} for name in images.patients])

    monkeypatch.setattr(m, "variants", variants)
    reference.compare_models(["open-pack"], {"ours": "cae-mri"}, small)
    assert seen
    for split in ("patient", "slice"):
        assert not set(seen) & set(data.sets(192, "open-pack", split=split)[0].ids)


def test_a_missing_reference_is_explained(tmp_path):
    with pytest.raises(DataError, match=r"gone\.json is missing; make it with: python -m helpers"):
        reference.facts(tmp_path / "gone.json")


def test_the_reference_is_of_the_shipped_weights_and_the_test_patients():
    result = parse_strictly(reference.FILE)
    assert result["weights_sha256"] == weights.sha256("cae-mri").hex()
    card = weights.card("cae-mri")
    for entry in result["images"]:
        known = card["trained_on" if entry["side"] == "train" else "held_out"]
        facts = next(other for other in known if other["source"] == entry["source"])
        assert entry["patients"] == facts["patients"]
        assert 0 < entry["images"] <= facts["images"]
    sides = [{r["source"] for r in result["images"] if r["side"] == s} for s in ("train", "test")]
    assert sides[0] == sides[1] and "open-pack" in sides[0]
    tables = reference.load()
    assert set(tables["variants"]["codec"]) == set(m.VARIANTS)
    assert set(tables["equal_bytes"]["codec"]) == set(comparisons.STANDARDS)
    assert set(tables["steps"]["codec"]) == set(m.STEPS)
    for name, table in tables.items():
        assert (table["bytes"] > 0).all() and (table["images"] > 0).all(), name
        assert np.allclose(table["ratio_8bit"] * table["bpp"], 8, rtol=0.2), name


def test_the_reference_can_be_measured_again(open_pack):
    """The same slices, weights and code give the numbers that the reference file keeps."""
    result = parse_strictly(reference.FILE)
    kept = next(
        row
        for row in result["tables"]["variants"]
        if (row["source"], row["side"], row["codec"]) == ("open-pack", "test", "CAE + Brotli")
    )
    images = open_pack[1].spread(kept["images"])
    facts = next(
        entry
        for entry in result["images"]
        if (entry["source"], entry["side"]) == ("open-pack", "test")
    )
    assert images.fingerprint == facts["fingerprint"]
    again = comparisons.means(
        m.variants(images, {"CAE + Brotli": m.VARIANTS["CAE + Brotli"]})
    ).iloc[0]
    assert again["psnr"] == pytest.approx(kept["psnr"], abs=0.02)  # dB; floats differ by machine
    assert again["bytes"] == pytest.approx(kept["bytes"], rel=0.002)


def test_training_writes_weights_that_the_codec_loads(tmp_path, monkeypatch):
    monkeypatch.setattr(training, "sets", lambda *_: (made("aab"), made("c")))
    monkeypatch.setattr(training, "matrix_rate", lambda: 1e9)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    schedule = Schedule(epochs=2, batch=2, measure_every=1, seed=5)
    card = training.train(["made"], tmp_path / "own.safetensors", schedule, size=32)
    assert parse_strictly(tmp_path / "own.json") == card
    assert [row["epoch"] for row in card["history"]] == [1, 2]
    assert card["trained_on"][0]["patients"] == ["a", "b"]
    assert card["held_out"][0]["patients"] == ["c"]
    assert card["schedule"]["seed"] == 5 and card["images_per_second"] > 0
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    torch.manual_seed(5)
    start = ConvAutoencoder().state_dict()
    trained = weights.load("own")
    assert all(not torch.equal(trained[key], start[key].half().float()) for key in start)
    table = m.variants(made("c"), {"own": {}}, model="own")
    assert table["psnr"].notna().all()


def test_the_command_trains_with_the_schedule_it_is_told(tmp_path, monkeypatch, capsys):
    calls = []

    def train(sources, out, schedule, checkpoints, split):
        calls.append((sources, out, schedule, split))
        facts = {"images_per_second": 1.0, "share_of_matrix_rate": 0.5, "bytes": 9}
        return {"name": "own", "history": [{"held_out_psnr": 25.0}], **facts}

    monkeypatch.setattr(training, "train", train)
    out = tmp_path / "own.safetensors"
    assert main(["train", "cae-brotli-mri", "--out", str(out)]) == 0
    options = ["--augment", "--epochs", "7", "--seed", "2", "--split", "slice"]
    options += ["--source", "a", "--source", "b"]
    assert main(["train", "cae-brotli-mri", "--out", str(out), *options]) == 0
    assert calls == [
        (["auto"], out, training.PAPER, "patient"),
        (["a", "b"], out, replace(training.PAPER, epochs=7, seed=2, augment=True), "slice"),
    ]
    assert "held-out PSNR 25.00 dB, 9 bytes" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        ("train", "--epochs", "0"),
        ("train", "--out", "w.json"),
        ("train", "--split", "pixel"),
        ("reference", "--limit", "0"),
    ],
)
def test_wrong_numbers_and_names_are_told_before_any_work(words, capsys):
    with pytest.raises(SystemExit) as ended:
        main([words[0], "cae-brotli-mri", *words[1:]])
    assert ended.value.code == 2
    *usage, said = capsys.readouterr().err.splitlines()
    assert usage[0].startswith("usage: ") and f"error: argument {words[1]}: " in said


def test_a_comparison_without_weights_is_one_sentence(capsys):
    assert main(["reference", "cae-brotli-mri", "--compare", "augmented"]) == 2
    said = capsys.readouterr().err
    assert "--compare takes NAME=WEIGHTS" in said and said.count("\n") == 1
