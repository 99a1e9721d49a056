"""The experiment of the lossless chapter: honest splits, weights the codec loads, its commands."""

from dataclasses import replace

import numpy as np
import pytest
from conftest import parse_strictly
from delta_networks import SMALL, film_set

from helpers import weights
from helpers.cli import main
from helpers.codecs.delta import DeltaCodec
from helpers.errors import DataError
from helpers.experiments.lossless_delta import commands, data, floats, reference, training
from helpers.models.delta import PLANS, Plan
from helpers.schedule import Schedule

QUICK = Schedule(epochs=2, batch=2, learning_rate=1e-3, measure_every=1, seed=3)
QUICK_PLANS = {  # two convolutions instead of six, or one dense layer: these compile in time
    "cnn1": SMALL,
    "dense": Plan((3,), 2, (4,), 0, dense=True),
    "stage2": Plan((2,), 3, (2,), 0, dense=True),
}
FILMS = film_set("ab")


@pytest.fixture
def small(monkeypatch, tmp_path):
    """Networks and sets that train in a second or two, and a folder of one's own for weights."""
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    for name, plan in QUICK_PLANS.items():
        monkeypatch.setitem(PLANS, name, plan)

    def sets(source):
        return film_set("aab", source), film_set("c", source)

    monkeypatch.setattr(training, "sets", sets)
    return tmp_path


def test_the_same_people_are_held_out_of_every_source(monkeypatch):
    people = [f"person{i}" for i in range(60)]
    sources = {"one": film_set(people[:45] * 2, "one"), "two": film_set(people[10:], "two")}
    sources = {name: replace(films, images=(0,) * len(films)) for name, films in sources.items()}
    monkeypatch.setattr(data, "load", lambda name, size, source: sources[source])
    tested = {}
    for source, films in sources.items():
        train, test = data.sets(source)
        assert len(train) + len(test) == len(films)
        assert not set(train.patients) & set(test.patients)
        tested[source] = set(test.patients)
    both = set(people[10:45])
    assert tested["one"] & both == tested["two"] & both != set()
    for source, other in (("one", "two"), ("two", "one")):  # nobody is learnt here, tested there
        assert not (set(sources[source].patients) - tested[source]) & tested[other]


def test_films_from_elsewhere_are_only_tested_on(monkeypatch, small):
    monkeypatch.setattr(data, "load", lambda *_, **__: film_set("ab", data.FOREIGN[0]))
    train, test = data.sets()
    assert len(train) == 0 and len(test) == 2
    monkeypatch.setattr(training, "sets", data.sets)
    with pytest.raises(ValueError, match=f"{data.FOREIGN[0]}.* no training films"):
        training.train("dense", ["auto"], small / "own.safetensors", QUICK)


def test_training_writes_weights_and_a_card_that_the_codec_loads(small):
    card = training.train("cnn1", ["one", "two"], small / "delta-cnn1.safetensors", QUICK)
    assert parse_strictly(small / "delta-cnn1.json") == card == weights.card("delta-cnn1")
    assert [row["epoch"] for row in card["history"]] == [1, 2]
    assert {"loss", "held_out_loss", "held_out_psnr"} < set(card["history"][0])
    assert [entry["patients"] for entry in card["trained_on"]] == [["a", "b"]] * 2
    assert [entry["source"] for entry in card["held_out"]] == ["one", "two"]
    assert [entry["images"] for entry in card["trained_on"]] == [3, 3]
    assert card["schedule"]["seed"] == 3 and card["schedule"]["epochs"] == 2
    assert (card["network"], card["loss"], card["base"]) == ("cnn1", "1 - MS-SSIM", "")
    stored = weights.arrays("delta-cnn1")
    trained = {name: values for name, values in stored.items() if "/moving_" not in name}
    assert card["parameters"] == sum(values.size for values in trained.values())
    assert np.abs(stored["encoder/norm0/moving_mean"]).max() > 0  # it saw the films
    codec = DeltaCodec()  # the book's choice, which is that name
    assert np.array_equal(codec.decode(codec.encode(FILMS.images[0])), FILMS.images[0])
    table = floats.disagreement("delta-cnn1", FILMS.stack())
    assert table["way"].is_unique and len(table) == 3
    assert table.loc[0, ["values", "largest", "pixels", "films"]].tolist() == [0] * 4
    assert (table["films"] <= 2).all() and (table["largest"] < 0.5).all()
    assert ((table["pixels"] > 0) == (table["films"] > 0)).all()


def test_the_second_stage_learns_what_the_first_leaves(small):
    files = {name: small / f"delta-{name}.safetensors" for name in ("dense", "stage2", "cnn3")}
    first = training.train("dense", ["made"], files["dense"], QUICK)
    second = training.train("stage2", ["made"], files["stage2"], QUICK, base="delta-dense")
    assert (second["base"], second["base_sha256"]) == ("delta-dense", first["sha256"])
    joined = training.join("delta-dense", files["stage2"], files["cnn3"])
    assert parse_strictly(small / "delta-cnn3.json") == joined
    assert joined["stage1"] == first and joined["stage2"] == second
    assert joined["parameters"] == first["parameters"] + second["parameters"]
    film, arrays = FILMS.images[0], weights.arrays("delta-cnn3")
    assert {name.split("/")[0] for name in arrays} == {"stage1", "stage2"}
    codec = DeltaCodec("delta-cnn3")
    assert np.array_equal(codec.decode(codec.encode(film)), film)
    one, two = (codec.predict(film)[1] for codec in (DeltaCodec("delta-dense"), codec))
    assert not np.array_equal(one, two)

    again = training.train("dense", ["made"], files["dense"], replace(QUICK, seed=4))
    assert again["sha256"] != first["sha256"]
    with pytest.raises(ValueError, match=r"delta-stage2.* other weights than 'delta-dense'"):
        training.join("delta-dense", files["stage2"], files["cnn3"])
    assert weights.card("delta-cnn3") == joined


def test_a_limit_leaves_films_out_and_checkpoints_resume(small):
    out, kept = small / "own.safetensors", small / "kept"
    card = training.train("dense", ["made"], out, QUICK, checkpoints=kept, limit=2)
    assert card["trained_on"][0]["images"] == 2 and card["held_out"][0]["images"] == 1
    again = training.train("dense", ["made"], out, QUICK, checkpoints=kept, limit=2)
    assert again["sha256"] == card["sha256"]  # the finished run is found there
    assert len(list(kept.iterdir())) == 1
    other = training.train("dense", ["made"], out, QUICK, checkpoints=kept)
    assert len(list(kept.iterdir())) == 2 and other["trained_on"][0]["images"] == 3


def test_only_the_second_stage_has_a_base(small):
    with pytest.raises(ValueError, match="'cnn1' learns the films themselves"):
        training.train("cnn1", ["made"], small / "own.safetensors", QUICK, base="delta-cnn2")
    with pytest.raises(DataError, match="no weights named 'delta-none'"):
        training.train("stage2", ["made"], small / "own.safetensors", QUICK, base="delta-none")
    assert list(small.iterdir()) == []


def test_the_recipes_are_the_papers():
    epochs = {name: recipe.schedule.epochs for name, recipe in training.RECIPES.items()}
    assert epochs == {"dense": 48, "cnn1": 36, "cnn2": 26, "stage2": 10}
    assert set(training.RECIPES) == set(PLANS) == set(commands.NETWORKS)
    assert training.RECIPES["dense"].schedule.batch == 32
    bases = [name for name, recipe in training.RECIPES.items() if recipe.base]
    assert bases == ["stage2"] and training.RECIPES["stage2"].base == "delta-cnn2"


def test_the_commands_pass_their_options_on(tmp_path, monkeypatch, capsys):
    trained, measured, joined = [], [], []

    def train(network, sources, out, schedule, **options):
        trained.append((network, sources, out, schedule, options))
        card = {"name": out.stem, "images_per_second": 1.0, "bytes": 9, "base": "delta-first"}
        return {**card, "history": [{"held_out_psnr": 25.0}]}

    def join(*args):
        joined.append(args)
        return {"name": "delta-cnn3", "bytes": 18}

    monkeypatch.setattr(training, "train", train)
    monkeypatch.setattr(training, "join", join)
    monkeypatch.setattr(
        reference, "run", lambda *args: measured.append(args) or tmp_path / "r.json"
    )
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    chapter = "lossless-delta-chest-xray"
    assert main(["train", chapter, "--network", "cnn1"]) == 0
    options = ["--base", "delta-first", "--limit", "7", "--epochs", "2", "--seed", "5"]
    options += ["--source", "a", "--source", "b", "--checkpoints", str(tmp_path / "c")]
    out = tmp_path / "deep" / "own.safetensors"
    assert main(["train", chapter, "--network", "stage2", "--out", str(out), *options]) == 0
    plain = {"checkpoints": None, "base": None, "limit": None}
    told = {"checkpoints": tmp_path / "c", "base": "delta-first", "limit": 7}
    schedules = [training.RECIPES[name].schedule for name in ("cnn1", "stage2")]
    assert trained == [
        ("cnn1", ["auto"], tmp_path / "delta-cnn1-full.safetensors", schedules[0], plain),
        ("stage2", ["a", "b"], out, replace(schedules[1], epochs=2, seed=5), told),
    ]
    assert joined == [("delta-first", out, tmp_path / "deep" / "own-both.safetensors")]
    said = capsys.readouterr().out
    assert "held-out PSNR 25.00 dB, 9 bytes" in said and "both stages, 18 bytes" in said

    assert main(["reference", chapter]) == 0
    assert main(["reference", chapter, "--limit", "3", "--source", "a"]) == 0
    assert measured == [(["auto"], 100), (["a"], 3)]
    assert "Written: reference/results/r.json" in capsys.readouterr().out


def test_the_shipped_weights_are_trained_as_in_the_paper():
    names = {name: f"delta-{name}" for name in ("cnn1", "cnn2", "cnn3")}
    said = {
        name: weights.read_card(weights.FOLDER / f"{file}.safetensors")
        for name, file in names.items()
    }
    said["stage2"] = said["cnn3"]["stage2"]
    assert said["cnn3"]["stage1"] == said["cnn2"]
    assert said["stage2"]["base_sha256"] == said["cnn2"]["sha256"]
    assert said["cnn3"]["parameters"] == 1_795_265 + 583_265
    for name in ("cnn1", "cnn2", "stage2"):
        card, recipe = said[name], training.RECIPES[name]
        assert (card["network"], card["loss"]) == (name, recipe.loss_name)
        assert card["parameters"] == PLANS[name].parameters
        assert card["schedule"]["epochs"] == recipe.schedule.epochs == card["history"][-1]["epoch"]
        assert not {entry["source"] for entry in card["trained_on"]} & set(data.FOREIGN)
    for card in said.values():
        assert card.get("bytes", 0) <= 16 * 2**20


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("train",), "--network"),
        (("train", "--network", "cnn9"), "argument --network: invalid choice: 'cnn9'"),
        (("train", "--network", "cnn1", "--epochs", "0"), "argument --epochs: must be 1 or more"),
        (("train", "--network", "cnn1", "--limit", "x"), "argument --limit: must be 1 or more"),
        (("train", "--network", "cnn1", "--out", "w.json"), "--out: names a .safetensors file"),
        (("reference", "--limit", "0"), "argument --limit: must be 1 or more, not 0"),
    ],
)
def test_wrong_options_are_told_before_any_work(words, says, capsys):
    with pytest.raises(SystemExit) as ended:
        main([words[0], "lossless-delta-chest-xray", *words[1:]])
    assert ended.value.code == 2
    *usage, said = capsys.readouterr().err.splitlines()
    assert usage[0].startswith("usage: ") and says in said


def test_a_base_for_the_first_stage_is_one_sentence(small, capsys):
    words = ["--network", "dense", "--base", "delta-cnn2", "--source", "made"]
    assert main(["train", "lossless-delta-chest-xray", *words]) == 2
    said = capsys.readouterr().err
    assert "learns the films themselves" in said and said.count("\n") == 1
