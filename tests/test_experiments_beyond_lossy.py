"""Training of the lossy codec: what it sees, that it learns and resumes, and its tables."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from codec_images import phantom

from helpers import weights
from helpers.codecs.hyperprior import symbols
from helpers.codecs.hyperprior.codec import HyperCodec
from helpers.data import ImageSet
from helpers.experiments.beyond import calibration, lossy, pictures, rates, states
from helpers.models.hyperprior.layout import BANDS
from helpers.models.hyperprior.network import Hyperprior
from helpers.schedule import Schedule

pytestmark = pytest.mark.usefixtures("on_the_cpu")
QUICK = Schedule(epochs=4, batch=1, learning_rate=1e-3, seed=3, measure_every=1, checkpoint_every=1)


def films(count=3, side=208):
    return ImageSet(
        name="films",
        source="made",
        images=tuple(phantom(side, seed=k) for k in range(count)),
        ids=tuple(f"film{k}" for k in range(count)),
        patients=tuple(f"child{k}" for k in range(count)),
        labels=("",) * count,
        bit_depth=8,
        licence="none",
        citation="nobody, 2020",
    )


@pytest.fixture
def few_steps(monkeypatch):
    monkeypatch.setattr(lossy, "STEPS", 8)
    monkeypatch.setattr(lossy, "WARM", 4)
    monkeypatch.setattr(lossy, "SPREAD_FROM", 2)


def crops(seed=0):
    return iter(pictures.Crops([pictures.Album(films(), 1.0, 200)], 1, seed))


def small(seed=0):
    torch.manual_seed(seed)
    return Hyperprior(torch.full((BANDS,), 20.0))


def test_crops_are_grey_levels_around_zero():
    many = [next(batch) for batch in [crops(seed) for seed in range(8)]]
    for crop in many:
        assert crop.shape == (1, 1, pictures.CROP, pictures.CROP)
        assert crop.dtype == torch.float32 and crop.min() >= -128 and crop.max() <= 127
        assert torch.equal(crop, crop.round())
    assert torch.equal(next(crops(1)), next(crops(1)))
    assert not torch.equal(many[0], many[1])


def test_a_small_picture_is_repeated_to_the_size_of_a_crop():
    narrow = replace(films(), images=tuple(image[:, :90] for image in films().images))
    batch = next(iter(pictures.Crops([pictures.Album(narrow, 1.0, 200)], 1, 0)))
    assert batch.shape[2:] == (pictures.CROP, pictures.CROP)


def test_large_pictures_are_seen_at_many_sizes():
    views = pictures._views(phantom(1000), 224, np.random.default_rng(0))
    heights = [view.shape[0] for view in views]
    assert len(views) == pictures.VIEWS + 1 and max(heights) == 1000
    assert set(pictures.USUAL) <= set(heights) and min(heights) >= 224


def test_the_spread_is_that_of_the_bands(few_steps):
    found = lossy.spread(iter([torch.full((2, 1, 32, 32), 10.0)] * 2))
    assert float(found[0]) == pytest.approx(160, rel=1e-4)  # the mean times 16
    assert float(found[1:].max()) < 1e-2


def test_training_lowers_the_cost_and_resumes_where_it_stopped(few_steps, tmp_path):
    held_out = next(crops(9))
    whole = small()
    history = lossy.fit(whole, crops(), held_out, QUICK, folder=tmp_path / "a")
    assert history["epoch"].tolist() == [1, 2, 3, 4]
    untrained = lossy._measured(
        small().to(memory_format=torch.channels_last), held_out, lossy.squared
    )
    assert history["held_out_loss"].iloc[-1] < untrained - 0.02
    assert (tmp_path / "a" / "flat.pt").is_file()
    again = small(1)
    resumed = lossy.fit(again, crops(), held_out, QUICK, folder=tmp_path / "a")
    assert resumed["loss"].tolist() == history["loss"].tolist()
    same = zip(whole.parameters(), again.parameters(), strict=True)
    assert all(torch.equal(one, other) for one, other in same)
    longer = lossy.fit(small(), crops(), held_out, replace(QUICK, epochs=6), folder=tmp_path / "a")
    # goes on from before the rates fell, not from where they had reached zero
    kept = [row == old for row, old in zip(longer["loss"], history["loss"], strict=False)]
    assert len(longer) == 6 and kept == [True, True, False, False]


def test_kernels_move_with_their_matrices():
    net = small().to(memory_format=torch.channels_last)
    _, muon = lossy.optimisers_of(net, 1e-3)
    before = [kernel.detach().clone() for kernel in muon.kernels]
    for kernel in muon.kernels:
        kernel.grad = torch.randn_like(kernel)
    muon.step()
    for kernel, old, matrix in zip(muon.kernels, before, muon.matrices, strict=True):
        assert not torch.equal(kernel, old)
        assert kernel.data_ptr() == matrix.data_ptr()


def test_no_folder_no_checkpoint(tmp_path):
    states.keep(None, small(), [], [])
    assert states.taken_up(None, small(), []) == []
    assert states.taken_up(tmp_path, small(), []) == []


def test_tables_make_a_codec(tmp_path, monkeypatch):
    pieces = [torch.from_numpy(phantom(64, seed=k).astype(np.float32) - 128) for k in range(4)]
    arrays = calibration.tables(small(), pieces)
    assert arrays["steps"].shape == arrays["octaves"].shape == (64, BANDS)
    assert (np.diff(arrays["steps"], axis=0) < 0).all()
    chances = arrays["chances"]
    assert ((chances > 0) & (chances < 2**16)).all()
    assert np.abs(chances - symbols.normal_chances()).max() > 500  # something was counted
    weights.save(arrays, tmp_path / "made.safetensors", {})
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    image, codec = phantom(64), HyperCodec(63, "made")
    error = codec.decode(codec.encode(image)).astype(float) - image
    assert np.sqrt(np.mean(error**2)) < 3


def test_whole_numbers_of_tables_survive(tmp_path):
    table = np.array([[0, 2**24, -70_000]])
    weights.save({"table": table, "half": np.ones(2)}, tmp_path / "t.safetensors", {})
    assert np.array_equal(weights.read(tmp_path / "t.safetensors")["table"], table)
    with pytest.raises(ValueError, match="beyond 2\\*\\*24"):
        weights.save({"table": table + 1}, tmp_path / "t.safetensors", {})


def test_leaving_parts_out_costs_bytes(monkeypatch):
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(weights.FOLDER))
    found = rates.without({"phantoms": films(1, 128)}).set_index("part")["bd_rate"]
    assert len(found) == 6 and found.notna().any()
    assert found["the synthesis network"] > 0


def test_estimates_come_down_to_the_file(monkeypatch):
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(weights.FOLDER))
    image = phantom(96)
    found = rates.estimated(image, 30)
    assert found["stream"] == 8 * len(HyperCodec(30).encode(image)) / image.size
    assert found["payload"] < found["stream"] < found["payload"] + 8 * 60 / image.size
    assert found["counted"] == pytest.approx(found["payload"], rel=0.15)


def test_no_patient_is_on_both_sides():
    """Of the sources that are at hand everywhere; the others are split by the same functions."""
    train, test = (
        {who for album in albums for who in album.images.patients}
        for albums in (pictures.of_the_pack(part) for part in ("train", "test"))
    )
    assert train and test and not train & test
