"""The experiment of the mammogram chapter: honest sides, weights the codec loads, its commands."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest
from codec_images import phantom
from conftest import parse_strictly

from helpers import weights
from helpers.cli import main
from helpers.codecs.ae import LatentCodec
from helpers.data import ImageSet, patches
from helpers.errors import DataError
from helpers.experiments.ae_vae import data, reference, training
from helpers.schedule import Schedule

QUICK = Schedule(epochs=2, batch=2, learning_rate=1e-3, measure_every=1, seed=3)
SIDE = 32
VIEWS = ("LEFT_CC", "LEFT_MLO", "RIGHT_MLO")


def film_set(ids, side=SIDE, source="made"):
    """Pictures that look a little medical, with ids of CBIS-DDSM."""
    return ImageSet(
        name="mammography",
        source=source,
        images=tuple(phantom(side, seed=i) for i in range(len(ids))),
        ids=tuple(ids),
        patients=tuple("_".join(name.split("_")[1:3]) for name in ids),
        labels=("BENIGN",) * len(ids),
        bit_depth=8,
        licence="none",
        citation="none",
    )


def ids(part, *patients):
    return [f"Mass-{part}_P_{number:05d}_{view}" for number in patients for view in VIEWS]


@pytest.fixture
def library(monkeypatch):
    """Two sources: one with both official parts, one with two women of the test part."""
    names = {"both": [*ids("Training", 1, 4), *ids("Test", 16)], "pack": ids("Test", 173, 820)}

    def load(name, size, source, resample, keep):
        assert (name, resample) == ("mammography", "bilinear")
        return film_set([found for found in names[source] if keep(found)], size, source)

    monkeypatch.setattr(data, "load", load)
    data.films.cache_clear()
    yield
    data.films.cache_clear()


@pytest.fixture
def small(monkeypatch, tmp_path, library):
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    return tmp_path


def test_the_official_parts_are_the_sides_and_only_oblique_films_count(library):
    train, test = data.sets("both", SIDE)
    assert set(train.patients) == {"P_00001", "P_00004"} and set(test.patients) == {"P_00016"}
    assert all(name.endswith("MLO") for name in (*train.ids, *test.ids))
    assert {film.shape for film in train} == {(SIDE, SIDE)}


def test_the_pack_is_cut_into_patches_one_woman_a_side(library):
    train, test = data.sets("pack", SIDE)
    assert set(train.patients) == {"P_00173"} and set(test.patients) == set(data.HELD_OUT)
    assert "Cut into patches of 32 x 32, every 4 pixels" in train.preparation
    whole = dict(zip(*(lambda s: (s.ids, s.images))(data.films("pack", 4 * SIDE)[1]), strict=True))
    for images in (train, test):
        for name, patch in zip(images.ids, images, strict=True):
            film, row, column = name.rsplit("-", 2)
            row, column = int(row), int(column)
            assert row % 4 == 0 and column % 4 == 0
            cut = whole[film][row : row + SIDE, column : column + SIDE]
            np.testing.assert_array_equal(patch, cut)
            assert (patch > patches.DARK).mean() > patches.TISSUE
    assert len(train) + len(test) == sum(
        (film[row : row + SIDE, column : column + SIDE] > patches.DARK).mean() > patches.TISSUE
        for film in whole.values()
        for row in range(0, 3 * SIDE + 1, 4)
        for column in range(0, 3 * SIDE + 1, 4)
    )


def test_a_random_split_of_rows_puts_films_on_both_sides():
    rows = [("a", "p"), ("a", "p"), ("b", "p"), ("c", "q")]
    found = data.leak(rows, test=0.25, draws=4000)
    assert (found["rows"], found["films"], found["patients"], found["tested"]) == (4, 3, 2, 1)
    assert found["film_in_both"] == pytest.approx(2 / 4, abs=0.05)
    assert found["patient_in_both"] == pytest.approx(3 / 4, abs=0.05)
    clean = data.leak([(name, name) for name in "abcdefgh"])
    assert clean["film_in_both"] == clean["patient_in_both"] == 0


@pytest.mark.parametrize(("network", "source"), [("ae", "both"), ("vae", "pack")])
def test_training_writes_weights_and_a_card_that_the_codec_loads(small, network, source):
    out = small / f"{network}-mammo.safetensors"
    card = training.train(network, [source], out, QUICK, side=SIDE, limit=3)
    assert parse_strictly(out.with_suffix(".json")) == card == weights.card(out.stem)
    assert [row["epoch"] for row in card["history"]] == [1, 2]
    assert card["trained_on"][0]["images"] == card["held_out"][0]["images"] + (source == "both")
    assert not set(card["trained_on"][0]["patients"]) & set(card["held_out"][0]["patients"])
    losses = [row["loss"] for row in card["history"]]
    assert card["kept_epoch"] == 1 + int(np.argmin(losses))
    assert (card["network"], card["side"], card["schedule"]["seed"]) == (network, SIDE, 3)
    assert card["beta"] == (1.0 if network == "vae" else None)
    film = phantom(SIDE, seed=0)
    codec = LatentCodec(out.stem)
    assert codec.side == SIDE and codec.decode(codec.encode(film)).shape == film.shape


def test_checkpoints_resume_and_each_beta_has_its_own(small):
    def run(beta):
        out = small / "own.safetensors"
        return training.train(
            "vae", ["both"], out, QUICK, side=SIDE, beta=beta, checkpoints=small / "kept", limit=3
        )

    first = run(1.0)
    assert run(1.0)["sha256"] == first["sha256"]  # the finished run is found there
    assert run(8.0)["sha256"] != first["sha256"]
    assert len(list((small / "kept").iterdir())) == 2


@pytest.mark.parametrize(("network", "beta"), [("ae", 2.0), ("vae", -1.0)])
def test_a_weight_without_a_divergence_is_refused(small, network, beta):
    with pytest.raises(ValueError, match=f"beta={beta} weighs a divergence"):
        training.train(network, ["both"], small / "own.safetensors", QUICK, beta=beta)
    assert list(small.iterdir()) == []


def test_the_command_trains_at_the_papers_schedule_but_for_the_epochs(small, monkeypatch, capsys):
    asked = {}

    def train(network, sources, out, schedule, **more):
        asked.update(more, network=network, sources=sources, out=out, schedule=schedule)
        last = {"held_out_psnr": 20.0}
        return {"name": "n", "images_per_second": 1, "kept_epoch": 1, "bytes": 2, "history": [last]}

    monkeypatch.setattr(training, "train", train)
    words = ["--network", "vae", "--source", "both", "--beta", "4", "--side", "64"]
    assert main(["train", "ae-vae-cbis-ddsm", *words, "--epochs", "7", "--seed", "5"]) == 0
    paper = training.RECIPES["vae"].schedule
    assert asked["schedule"] == replace(paper, epochs=7, seed=5)
    assert {recipe.schedule.epochs for recipe in training.RECIPES.values()} == {1000}
    assert (asked["beta"], asked["side"], asked["sources"]) == (4.0, 64, ["both"])
    assert asked["out"] == weights.own("vae-mammo-full")
    assert "20.00 dB" in capsys.readouterr().out


def test_the_reference_run_of_two_small_networks(small, monkeypatch, tmp_path):
    monkeypatch.setattr(reference, "RATES", (0.5, 2.0))
    monkeypatch.setattr(reference, "SMALL", ("spiht", "jpeg"))
    monkeypatch.setattr(reference, "_listing", lambda *sides: [("a", "p"), ("a", "p"), ("b", "q")])
    monkeypatch.setattr(reference.m, "METRICS", ("psnr",))
    monkeypatch.setattr(reference, "QUALITY", ("bytes", "mse", "psnr"))
    fitted = reference.components.fit_components
    monkeypatch.setattr(
        reference.components, "fit_components", lambda training: fitted(training, 2)
    )
    for network in ("ae", "vae"):
        out = small / f"{network}-mammo.safetensors"
        training.train(network, ["both"], out, QUICK, side=SIDE)
    training.train("vae", ["both"], small / "b9.safetensors", QUICK, side=SIDE, beta=9.0)
    file = reference.run(["both"], sweep=["b9", "vae-mammo"], file=tmp_path / "r.json")
    result, tables = parse_strictly(file), reference.load(file)
    assert result["command"].endswith("--source both --sweep b9 --sweep vae-mammo")
    assert result["weights_sha256"]["b9"] == weights.sha256("b9").hex()
    assert result["cards"]["b9"]["beta"] == 9.0
    assert [(part["side"], part["images"]) for part in result["images"]] == [
        ("train", 4),
        ("test", 2),
    ]
    assert all((table["source"] == "both").all() for table in tables.values())
    films = tables["films"]
    assert films.groupby("side").size().to_dict() == {"train": 4, "test": 2}
    assert films[["AE", "VAE", "jpeg"]].notna().all(axis=None)
    bits = tables["quality"].query("codec == 'AE' and measure == 'bytes'").set_index("latent")
    saved = bits.loc["float32", "mean"].to_numpy() - bits.loc["float16", "mean"].to_numpy()
    assert (saved == 32).all() and len(saved) == 2
    assert set(tables["sweep"]["beta"]) == {9.0, 1.0}
    assert set(tables["equal"]["budget"]) == {"AE", "jpeg"}
    assert len(tables["divergences"]) == 16
    assert set(tables["nearest"]["measure"]) == set(reference.NEAREST)
    assert tables["leak"].loc[0, ["rows", "films", "patients"]].to_list() == [3, 2, 2]


@pytest.mark.parametrize(
    ("parts", "message"),
    [
        (("Test", "Test"), "has 0 training and 4 test films in the oblique view"),
        (("Training", "Test"), "tables that list the films of 'cbis-ddsm-256' are not on this"),
    ],
)
def test_a_source_that_will_not_do_is_refused_before_anything_is_measured(
    small, monkeypatch, tmp_path, parts, message
):
    (first, second), source = parts, "cbis-ddsm-256"
    names = [*ids(first, 1), *ids(second, 820)]
    monkeypatch.setattr(
        data,
        "load",
        lambda *_, keep, **__: film_set([n for n in names if keep(n)], SIDE, source),
    )
    monkeypatch.delenv("MEDCODEC_DATA", raising=False)
    monkeypatch.setattr(reference.weights, "path", lambda name: None)
    monkeypatch.setattr(reference, "LatentCodec", lambda name: SimpleNamespace(side=SIDE))
    monkeypatch.setattr(reference, "measured", None)
    with pytest.raises(DataError, match=message):
        reference.run([source], file=tmp_path / "r.json")
    assert not list(tmp_path.iterdir())


def test_the_shipped_weights_and_the_reference_are_one_run(monkeypatch):
    monkeypatch.delenv("MEDCODEC_WEIGHTS", raising=False)
    result = parse_strictly(reference.FILE)
    for name in ("ae-mammo", "vae-mammo"):
        card = weights.read_card(weights.FOLDER / f"{name}.safetensors")
        assert result["weights_sha256"][name] == card["sha256"] == weights.sha256(name).hex()
        assert card["bytes"] <= 16 * 2**20 and card["side"] == data.SIDE
        assert {entry["source"] for entry in card["trained_on"]} == {"cbis-ddsm-256"}
        (held_out,) = (part for part in result["images"] if part["side"] == "test")
        assert card["held_out"][0]["fingerprint"] == held_out["fingerprint"]
    betas = [card["beta"] for card in result["cards"].values()]
    assert len(set(betas)) == len(betas) >= 5
    assert len({card["schedule"]["epochs"] for card in result["cards"].values()}) == 1
    assert set(result["tables"]["leak"][0]) >= {"rows", "films", "film_in_both"}
