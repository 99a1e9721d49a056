"""What the lossless chapter measures: bytes of real streams, right figures, a sound reference."""

from functools import partial

import numpy as np
import pytest
from conftest import parse_strictly
from delta_networks import TINY_DENSE, draw, film_set, save

from helpers import weights
from helpers.codecs import residual
from helpers.codecs.delta import DeltaCodec
from helpers.errors import DataError
from helpers.experiments.lossless_delta import floats, reference
from helpers.experiments.lossless_delta import measurements as m
from helpers.models.delta import PLANS, build
from helpers.models.halves import restore
from helpers.models.integer import IntegerAutoencoder

pytestmark = pytest.mark.usefixtures("tiny_networks")
FILMS = film_set("ab")


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
    assert table["way"].tolist() == list(floats.PRODUCTS)
    assert (table.drop(columns="way") == 0).all(axis=None)


def test_a_backend_without_float64_is_told(monkeypatch):
    """As JAX multiplies unless it is told otherwise."""
    monkeypatch.setattr(floats.keras.ops, "matmul", lambda a, b: np.float32(a @ b))
    with pytest.raises(ValueError, match="multiplies in float32 here"):
        floats.integer_disagreement("tiny", FILMS.stack()[:1])


def test_disagreements_are_counted(monkeypatch, tmp_path):
    """Two ways that differ by known amounts, in place of TensorFlow's."""
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    monkeypatch.setitem(PLANS, "small", TINY_DENSE)
    weights.save(draw(TINY_DENSE), tmp_path / "own.safetensors", {"network": "small"})
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
    built, twin = floats.network("own"), build(TINY_DENSE)
    restore(twin, weights.arrays("own"))
    unit = floats.grey_to_unit(FILMS.stack())
    assert np.array_equal(built.predict(unit, verbose=0), twin.predict(unit, verbose=0))


@pytest.fixture
def two_models(monkeypatch, tmp_path):
    """Small networks under two names of the book's, small sets, one standard."""
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    monkeypatch.setattr(weights, "FOLDER", tmp_path / "none")
    for seed, name in enumerate(("delta-cnn1", "delta-cnn3")):
        save(tmp_path, name, draw(TINY_DENSE, seed))

    def sets(source):
        return film_set("dd", source), film_set("abc", source)

    monkeypatch.setattr(reference, "sets", sets)
    monkeypatch.setattr(m, "standards", partial(m.standards, names=("png",)))
    return {"CNN 1.0": "delta-cnn1", "CNN 3.0": "delta-cnn3"}


def test_a_reference_run_writes_what_it_measured(two_models, tmp_path, monkeypatch):
    file, seen = tmp_path / "results" / "small.json", []

    def elsewhere(codec, images, threads, streams):
        seen.append((codec.get_config(), threads))
        decoded = [codec.decode(stream) for stream in streams]
        return np.array([np.array_equal(*pair) for pair in zip(images, decoded, strict=True)])

    monkeypatch.setattr(reference, "exact_elsewhere", elsewhere)  # test_codecs_delta_streams has it
    assert reference.available() == two_models
    assert reference.run(["one", "two"], 1, file, proven=2, processes=1) == file
    result, tables = parse_strictly(file), reference.load(file)
    hashes = {name: weights.sha256(name).hex() for name in two_models.values()}
    assert result["weights_sha256"] == hashes
    assert result["command"].endswith("chest-xray --source one --source two --limit 1")
    assert [(e["source"], e["side"], e["images"]) for e in result["images"]] == [
        ("one", "test", 3),
        ("two", "test", 3),
    ]
    for name, table in tables.items():
        assert set(table["source"]) == {"one", "two"}, name
    streams = tables["streams"]
    assert set(streams["measure"]) == set(reference.STREAM)
    assert set(streams["images"]) == {1} and set(streams["patients"]) == {1}
    exact = streams.query("measure == 'exact'")
    assert ((exact["mean"] == 1) == (exact["delta"] == "exact")).all()
    assert set(tables["quality"]["measure"]) == set(reference.QUALITY)
    assert set(tables["predictors"]["measure"]) == set(reference.PREDICTOR)
    assert set(tables["films"].columns) == {"image_id", *two_models, "png", "source"}
    assert len(tables["films"]) == 2 and tables["films"].notna().all(axis=None)
    proof = tables["proof"]
    assert (proof["films"] == 2).all() and (proof["exact"] == proof["films"]).all()
    every = {(model, coder) for model in two_models for coder in residual.CODERS}
    assert set(zip(proof["model"], proof["coder"], strict=True)) == every
    assert set(proof["latent"]) == {"int8", "float32"}
    assert result["cards"] == {name: {"name": name} | weights.card(name) for name in hashes}
    assert {threads for _, threads in seen} == {2}


def test_a_reference_run_without_weights_ends_before_any_work(two_models, tmp_path):
    weights.own("delta-cnn1").unlink()
    with pytest.raises(DataError, match="no weights named 'delta-cnn1'"):
        reference.run(["one"], 1, tmp_path / "r.json")


def test_a_missing_reference_is_explained(tmp_path):
    with pytest.raises(DataError, match=r"gone\.json is missing; make it with: python -m helpers"):
        reference.load(tmp_path / "gone.json")


def test_the_reference_is_of_the_shipped_weights_and_proven(monkeypatch):
    monkeypatch.delenv("MEDCODEC_WEIGHTS")
    result, tables = parse_strictly(reference.FILE), reference.load()
    assert {"delta-cnn1", "delta-cnn2", "delta-cnn3"} <= set(result["weights_sha256"])
    for name, digest in result["weights_sha256"].items():
        file = weights.FOLDER / f"{name}.safetensors"
        if file.is_file():  # the dense model's half a gigabyte does not travel with the book
            assert digest == weights.read_card(file)["sha256"] == weights.sha256(name).hex()
        else:
            assert name == "delta-dense" and result["cards"][name]["sha256"] == digest
    assert result["cards"]["delta-dense"]["history"][-1]["epoch"] == 48
    proof = tables["proof"]
    assert (proof["exact"] == proof["films"]).all() and (proof["films"] > 0).all()
    pairs = proof.groupby(["model", "coder"])["films"].sum()
    assert set(pairs.index) == {(model, coder) for model in m.MODELS for coder in residual.CODERS}
    assert pairs.min() >= 500
    exact = tables["streams"].query("measure == 'exact'")
    assert ((exact["mean"] == 1) == (exact["delta"] == "exact")).all()
    errors = tables["streams"].query("measure == 'max_error' and delta == 'float8'")
    assert (errors["mean"] == 1).all()
