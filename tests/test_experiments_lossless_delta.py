"""The experiment of the lossless chapter: honest splits, sound weights, real bytes."""

import json
from dataclasses import replace

import numpy as np
import pytest
from codec_images import phantom
from delta_networks import draw, save

from helpers import weights
from helpers.cli import main
from helpers.codecs import residual
from helpers.codecs.delta import DeltaCodec
from helpers.data import ImageSet
from helpers.errors import DataError
from helpers.experiments.lossless_delta import data, floats, reference, training
from helpers.experiments.lossless_delta import measurements as m
from helpers.models.delta import PLANS, Plan, build, restore
from helpers.models.integer import IntegerAutoencoder
from helpers.schedule import Schedule

pytestmark = pytest.mark.usefixtures("one_thread", "tiny_networks")
QUICK = Schedule(epochs=2, batch=2, learning_rate=1e-3, measure_every=1, seed=3)
SMALL = {  # two convolutions instead of six, or one dense layer: TensorFlow compiles them in time
    "cnn1": Plan((2, 3), 4, (3, 2), 0),
    "dense": Plan((3,), 2, (4,), 0, dense=True),
    "stage2": Plan((2,), 3, (2,), 0, dense=True),
}
FIGURES = ("bytes", "bpp", "latent_bpp", "delta_bpp", "entropy", "max_error")


def made(patients, source="made"):
    """Films of 256 x 256 that look a little medical."""
    count = len(patients)
    return ImageSet(
        name="chest-xray",
        source=source,
        images=tuple(phantom(256, seed=i) for i in range(count)),
        ids=tuple(f"film{i}" for i in range(count)),
        patients=tuple(patients),
        labels=("",) * count,
        bit_depth=8,
        licence="none",
        citation="none",
    )


FILMS = made("ab")


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    """Weights are looked for in, and go to, a folder of this test's own."""
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    return tmp_path


@pytest.fixture
def small(monkeypatch, own_folder):
    """Networks and sets that train in a second or two."""
    for name, plan in SMALL.items():
        monkeypatch.setitem(PLANS, name, plan)
    monkeypatch.setattr(training, "sets", lambda source: (made("aab", source), made("c", source)))
    return own_folder


def parse_strictly(file):
    def refuse(constant):
        raise ValueError(f"{constant} is not JSON")

    return json.loads(file.read_text(encoding="utf-8"), parse_constant=refuse)


def test_the_same_people_are_held_out_of_every_source(monkeypatch):
    people = [f"person{i}" for i in range(60)]
    sources = {"one": made(people[:45] * 2, "one"), "two": made(people[10:], "two")}
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
    for source, films in sources.items():  # so no network meets a test person of another source
        assert (
            not set(films.patients) - tested[source] & tested["one" if source == "two" else "two"]
        )


def test_films_from_elsewhere_are_only_tested_on(monkeypatch, small):
    monkeypatch.setattr(data, "load", lambda *_, **__: made("ab", data.FOREIGN[0]))
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
    with pytest.raises(
        ValueError, match=r"delta-stage2.*deltas of other weights than 'delta-dense'"
    ):
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
    with pytest.raises(DataError, match="no weights named 'delta-cnn2'"):
        training.train("stage2", ["made"], small / "own.safetensors", QUICK)
    assert list(small.iterdir()) == []


def test_the_recipes_are_the_papers():
    epochs = {name: recipe.schedule.epochs for name, recipe in training.RECIPES.items()}
    assert epochs == {"dense": 48, "cnn1": 36, "cnn2": 26, "stage2": 10}
    assert set(training.RECIPES) == set(PLANS)
    assert training.RECIPES["dense"].schedule.batch == 32
    bases = [name for name, recipe in training.RECIPES.items() if recipe.base]
    assert bases == ["stage2"] and training.RECIPES["stage2"].base == "delta-cnn2"


@pytest.mark.parametrize("model", ["tiny", "tiny-two"])
def test_rates_are_lengths_of_streams_that_decode(model):
    table = m.streams(FILMS, {"Tiny": model})
    settings = [(*s[:2], coder) for s in m.SETTINGS for coder in s[2]]
    assert len(table) == 2 * len(settings) and set(table["model"]) == {"Tiny"}
    assert set(table["coder"]) == set(residual.CODERS)
    for row in table.itertuples():
        codec = DeltaCodec(model, row.coder, row.latent, row.delta)
        film = FILMS.images[FILMS.ids.index(row.image_id)]
        stream = codec.encode(film)
        assert row.bytes == len(stream) and row.bpp == pytest.approx(8 * len(stream) / 65536)
        assert row.delta_bpp + row.latent_bpp < row.bpp  # the header counts too
        error = np.abs(codec.decode(stream).astype(int) - film).max()
        assert row.max_error == error == (row.delta == "float8")
        assert row.exact == (row.delta == "exact")
        assert row.patient_id == FILMS.patients[FILMS.ids.index(row.image_id)]
    by_latent = table.groupby("latent")["latent_bpp"].max()
    stages = 2 if model == "tiny-two" else 1
    assert by_latent["float32"] * 65536 / 8 == 4 * 5 * stages
    assert by_latent["int8"] * 65536 / 8 == (1 + 5) * stages
    memoryless = table.query("coder in ('huffman', 'range')")
    assert (memoryless["delta_bpp"] > memoryless["entropy"]).all()
    assert (table.query("delta == 'float8'")["entropy"] < table["entropy"].max()).all()


def test_standards_are_exact_on_the_same_films():
    table = m.standards(FILMS, ("png", "jpegls"))
    assert table["codec"].tolist() == ["png", "png", "jpegls", "jpegls"]
    assert table["exact"].all() and table["image_id"].tolist() == list(FILMS.ids) * 2


def test_quality_measures_the_networks_picture():
    table = m.quality(FILMS, {"Tiny": "tiny"})
    network = IntegerAutoencoder(weights.arrays("tiny"))
    for row, film in zip(table.itertuples(), FILMS.images, strict=True):
        error = film.astype(float) - network.decode(network.encode(film))
        assert row.mse == pytest.approx((error**2).mean() / 255**2)
        assert row.psnr == pytest.approx(-10 * np.log10(row.mse))
        assert 0 < row.ms_ssim < 1 and 0 < row.iou < 1 and row.kl > 0


def test_equal_pictures_have_no_divergence_and_full_overlap():
    film, dark = FILMS.images[0], np.zeros((256, 256), np.uint8)
    for image in (film, dark, dark + 255):
        assert m.kl_divergence(image, image) == 0
        assert m.iou(image, image) == 1
    assert m.kl_divergence(film, np.rot90(film)) == 0  # it sees histograms only
    assert m.kl_divergence(film, dark) > 1
    assert np.isfinite(m.kl_divergence(dark, dark + 255))
    assert m.iou(film, dark) == 0 and m.iou(film, film // 2) == pytest.approx(0.5, abs=0.01)
    p, q = np.array([3, 1]), np.array([1, 3])  # and against the definition, by hand
    one, other = (np.repeat([0, 1], c).astype(np.uint8)[None] for c in (p, q))
    counts = [np.concatenate([c + 1, np.ones(254)]) / 260 for c in (p, q)]
    right = (counts[0] * np.log2(counts[0] / counts[1])).sum()
    assert m.kl_divergence(one, other) == pytest.approx(right)


def test_predictors_differ_in_what_they_cost():
    mean = reference.mean_film(FILMS)
    assert np.array_equal(mean, np.rint((FILMS.images[0].astype(float) + FILMS.images[1]) / 2))
    table = m.predictors(FILMS, mean, {"Tiny": "tiny"})
    cost = table.groupby("predictor")["side_bytes"].max()
    free = ["nothing", "mean training film", "three neighbours"]
    assert (cost[free] == 0).all() and cost["Tiny"] == 1 + 5
    assert [cost[f"thumbnail, {k} × {k}"] for k in (11, 22)] == [121, 484]
    assert 256 < cost["Coiflet, 512 bytes"] <= 512
    sides = table["side_bytes"] * 8 / 65536
    assert np.allclose(table["bpp"], table["delta_bpp"] + sides)
    delta = table.groupby("predictor")["delta_bpp"].mean()
    plain = residual.encode(FILMS.images[0], "context")
    first = table.query("predictor == 'nothing'").iloc[0]
    assert first["delta_bpp"] == pytest.approx(8 * len(plain) / 65536)
    assert delta["mean training film"] < delta["nothing"]  # of two films that are much alike


def test_three_neighbours_predict_as_jpeg_ls_does():
    film = np.random.default_rng(0).integers(0, 256, (9, 12)).astype(np.uint8)
    film[3:6, 2:7] = 9
    found = m.median_edge(film)
    for i, j in np.ndindex(film.shape):
        left = int(film[i, j - 1]) if j else 0
        upper = int(film[i - 1, j]) if i else 0
        corner = int(film[i - 1, j - 1]) if i and j else 0
        if corner >= max(left, upper):
            right = min(left, upper)
        elif corner <= min(left, upper):
            right = max(left, upper)
        else:
            right = left + upper - corner
        assert found[i, j] == right
    assert found.dtype == np.int64


@pytest.mark.parametrize("side", [1, 8, 11])
def test_a_thumbnail_keeps_a_byte_a_cell(side):
    stored, prediction = m.thumbnail(np.full((256, 256), 77, np.uint8), side)
    assert stored == bytes([77]) * side**2
    assert prediction.shape == (256, 256) and (prediction == 77).all()
    film = FILMS.images[0]
    stored, prediction = m.thumbnail(film, 8)
    blocks = film.reshape(8, 32, 8, 32).mean(axis=(1, 3))
    assert np.abs(np.frombuffer(stored, np.uint8).reshape(8, 8) - blocks).max() <= 0.5
    assert prediction.min() >= 0 and prediction.max() <= 255
    assert np.abs(prediction - film.astype(int)).mean() < np.abs(film - film.mean()).mean()


def test_whole_numbers_never_disagree():
    table = floats.integer_disagreement("tiny", FILMS.stack())
    assert table["way"].tolist() == list(floats.PRODUCTS) and len(table) == 3
    assert (table.drop(columns="way") == 0).all(axis=None)


def test_disagreements_are_counted(monkeypatch, own_folder):
    """Two ways that differ by known amounts, in place of TensorFlow's."""
    monkeypatch.setitem(PLANS, "small", SMALL["dense"])
    arrays = draw(SMALL["dense"])
    weights.save(arrays, own_folder / "own.safetensors", {"network": "small"})
    first = np.full((2, 256, 256), 0.4, np.float32)
    second = first.copy()
    second[1, :2, :3] += np.float32(1 / 255)
    second[0, 0, 0] = np.nextafter(np.float32(0.4), np.float32(1))
    ways = {"one": lambda latents: first, "two": lambda latents: second}
    monkeypatch.setattr(floats, "ways", lambda built: ways)
    table = floats.disagreement("own", FILMS.stack()).set_index("way")
    assert table.loc["one"].tolist() == [0, 0, 0, 0]
    assert table.loc["two", "values"] == 7 / 131072
    assert table.loc["two", "largest"] == pytest.approx(1, rel=1e-4)
    assert table.loc["two", ["pixels", "films"]].tolist() == [6, 1]
    built, twin = floats.network("own"), build(SMALL["dense"])
    restore(twin, weights.arrays("own"))
    unit = floats.grey_to_unit(FILMS.stack())
    assert np.array_equal(built.predict(unit, verbose=0), twin.predict(unit, verbose=0))


@pytest.fixture
def reference_run(monkeypatch, tmp_path):
    """Small networks under the names of the book's, and sets of two films."""
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(weights, "FOLDER", tmp_path / "none")
    for name in ("delta-cnn1", "delta-cnn3"):
        arrays = draw(SMALL["dense"], seed=len(name))
        save(tmp_path, name, arrays)
    monkeypatch.setattr(reference, "sets", lambda source: (made("dd", source), made("abc", source)))
    monkeypatch.setattr(m, "STANDARDS", ("png", "jpegxl"))
    return tmp_path / "results" / "small.json"


def test_a_reference_run_writes_what_it_measured(reference_run, monkeypatch):
    seen = []

    def elsewhere(codec, images, threads, streams):
        seen.append((codec.get_config(), threads))
        decoded = [codec.decode(stream) for stream in streams]
        return np.array([np.array_equal(*pair) for pair in zip(images, decoded, strict=True)])

    monkeypatch.setattr(reference, "exact_elsewhere", elsewhere)  # test_codecs_delta_streams has it
    assert reference.available() == {"CNN 1.0": "delta-cnn1", "CNN 3.0": "delta-cnn3"}
    assert reference.run(["one", "two"], 2, reference_run, proven=1) == reference_run
    result, tables = parse_strictly(reference_run), reference.load(reference_run)
    assert result["weights_sha256"] == {
        name: weights.sha256(name).hex() for name in ("delta-cnn1", "delta-cnn3")
    }
    assert result["command"].endswith(
        "lossless-delta-chest-xray --source one --source two --limit 2"
    )
    assert [(e["source"], e["side"], e["images"]) for e in result["images"]] == [
        ("one", "test", 3),
        ("two", "test", 3),
    ]
    for name, table in tables.items():
        assert set(table["source"]) == {"one", "two"}, name
    streams = tables["streams"]
    assert set(streams["measure"]) == set(reference.STREAM)
    assert set(streams["images"]) == {2} and set(streams["patients"]) == {2}
    exact = streams.query("measure == 'exact'")
    assert ((exact["mean"] == 1) == (exact["delta"] == "exact")).all()
    assert set(tables["quality"]["measure"]) == set(reference.QUALITY)
    assert set(tables["predictors"]["measure"]) == set(reference.PREDICTOR)
    assert set(tables["films"].columns) == {
        "image_id",
        "CNN 1.0",
        "CNN 3.0",
        *m.STANDARDS,
        "source",
    }
    assert len(tables["films"]) == 4 and tables["films"].notna().all(axis=None)
    proof = tables["proof"]
    assert (proof["films"] == 1).all() and (proof["exact"] == proof["films"]).all()
    assert set(proof["model"]) == {"CNN 1.0", "CNN 3.0"}
    assert set(proof["coder"]) == set(residual.CODERS) and set(proof["latent"]) == {
        "int8",
        "float32",
    }
    assert {threads for _, threads in seen} == {1}


def test_a_missing_reference_is_explained(tmp_path):
    with pytest.raises(DataError, match=r"gone\.json is missing; make it with: python -m helpers"):
        reference.load(tmp_path / "gone.json")


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
        ("cnn1", ["auto"], tmp_path / "delta-cnn1.safetensors", schedules[0], plain),
        ("stage2", ["a", "b"], out, replace(schedules[1], epochs=2, seed=5), told),
    ]
    assert joined == [("delta-first", out, tmp_path / "deep" / "delta-cnn3.safetensors")]
    said = capsys.readouterr().out
    assert "held-out PSNR 25.00 dB, 9 bytes" in said and "both stages, 18 bytes" in said

    assert main(["reference", chapter]) == 0
    assert main(["reference", chapter, "--limit", "3", "--source", "a"]) == 0
    assert measured == [(["auto"], 100), (["a"], 3)]
    assert "Written: reference/results/r.json" in capsys.readouterr().out


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


@pytest.mark.skipif(not reference.FILE.is_file(), reason="the reference run is still to come")
def test_the_reference_is_of_the_shipped_weights_and_proven(monkeypatch):
    monkeypatch.delenv("MEDCODEC_WEIGHTS")
    result, tables = parse_strictly(reference.FILE), reference.load()
    assert {"delta-cnn1", "delta-cnn2", "delta-cnn3"} <= set(result["weights_sha256"])
    for name, digest in result["weights_sha256"].items():
        file = weights.FOLDER / f"{name}.safetensors"
        if file.is_file():  # the dense model's half a gigabyte does not travel with the book
            assert digest == weights.read_card(file)["sha256"] == weights.sha256(name).hex()
        else:
            assert name == "delta-dense"
    proof = tables["proof"]
    assert (proof["exact"] == proof["films"]).all() and (proof["films"] > 0).all()
    assert proof.query("model == 'CNN 1.0'").groupby("coder")["films"].sum().min() > 0
    assert set(proof["coder"]) == set(residual.CODERS)
    assert proof.groupby(["model", "coder", "latent"])["films"].sum().max() >= 500
    exact = tables["streams"].query("measure == 'exact'")
    assert ((exact["mean"] == 1) == (exact["delta"] == "exact")).all()
    errors = tables["streams"].query("measure == 'max_error' and delta == 'float8'")
    assert (errors["mean"] == 1).all()
