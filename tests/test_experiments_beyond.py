"""Training of the lossless codec's networks: what it sees, that it resumes, and its command."""

import argparse
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from codec_images import phantom
from conftest import parse_strictly
from context_networks import COMPONENTS, FIRST, SECOND, texture

from helpers import weights
from helpers.cli import main
from helpers.codecs.causal import walk
from helpers.codecs.learned import MODELS, LearnedCodec
from helpers.data import ImageSet
from helpers.experiments import commands as all_commands
from helpers.experiments.beyond import commands, data, training
from helpers.experiments.beyond.data import Source
from helpers.models.context import ContextNet
from helpers.schedule import Schedule

pytestmark = pytest.mark.usefixtures("on_the_cpu")
QUICK = Schedule(epochs=6, batch=200, learning_rate=3e-3, seed=3, measure_every=2)


def films(patients="ab", side=24, source="made"):
    count = len(patients)
    return ImageSet(
        name="films",
        source=source,
        images=tuple(phantom(side, seed=k) for k in range(count)),
        ids=tuple(f"film{k}" for k in range(count)),
        patients=tuple(patients),
        labels=("",) * count,
        bit_depth=8,
        licence="none",
        citation="nobody, 2020",
    )


def plain(image, _):
    return [data.from_zero(image)]


def pools(pixels=300):
    source = Source(films(), plain, pixels)
    return training.pool([source], 0), training.pool([replace(source, images=films("c"))], 1)


def network(seed=0):
    torch.manual_seed(seed)
    return ContextNet(FIRST, SECOND, COMPONENTS)


def run(schedule=QUICK, folder=None, seed=0):
    net = network(seed)
    return net, training.fit(net, *pools(), schedule, folder)


def same(one, other):
    return all(torch.equal(a, b) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def rows(pool):
    return sorted(map(tuple, np.hstack([part.numpy() for part in pool]).tolist()))


def test_a_pool_is_what_the_codec_sees():
    everything = training.pool([Source(films(), plain, 10_000)], 0)
    assert [part.dtype for part in everything] == [torch.int16, torch.int32]
    seen = [walk.observe(image, np.ones(image.shape, bool)) for image in films().images]
    in_order = [torch.from_numpy(np.concatenate(parts)) for parts in zip(*seen, strict=True)]
    assert rows(everything) == rows(in_order)
    assert not torch.equal(everything[1], in_order[1])  # shuffled


def test_a_pool_is_drawn_by_its_seed():
    def drawn(seed):
        return training.pool([Source(films(), plain, 200)], seed)

    assert all(map(torch.equal, drawn(0), drawn(0)))
    assert rows(drawn(0)) != rows(drawn(1))
    assert len(drawn(0)[0]) == pytest.approx(2 * 200, rel=0.25)
    some = rows(drawn(0))
    assert set(some) <= set(rows(training.pool([Source(films(), plain, 10_000)], 0)))


def test_views_without_contrast_are_left_out():
    def flat_too(image, _):
        return [np.zeros((9, 9), np.int64), data.from_zero(image)]

    with_flat = training.pool([Source(films(), flat_too, 10_000)], 0)
    assert rows(with_flat) == rows(training.pool([Source(films(), plain, 10_000)], 0))


def test_the_code_becomes_shorter():
    net, history = run(replace(QUICK, epochs=12))
    assert history["epoch"].tolist() == list(range(1, 13))
    assert (history["seconds"] > 0).all()
    assert history.dropna()["epoch"].tolist() == [2, 4, 6, 8, 10, 12]
    assert history["loss"].iloc[-1] < history["loss"].iloc[0] - 0.1
    assert history["held_out_loss"].iloc[-1] < history["held_out_loss"].iloc[1]
    with torch.no_grad():
        measured = float(net.bits(*pools()[1]).mean())
    assert measured == pytest.approx(history["held_out_loss"].iloc[-1], rel=1e-5)
    assert not net.training


def test_every_layer_is_trained_at_any_rate():
    """Also where Adam's is that of the other optimiser."""
    for rate in (3e-3, training.MUON):
        net, _ = run(replace(QUICK, learning_rate=rate))
        before = network().state_dict()
        assert all(not torch.equal(net.state_dict()[name], before[name]) for name in before)


def test_a_seed_repeats_a_fit():
    (net, history), (twin, again) = run(), run()
    assert same(net, twin) and not same(net, run(seed=4)[0])
    untimed = [frame.drop(columns="seconds") for frame in (history, again)]
    pd.testing.assert_frame_equal(*untimed, check_exact=True)


def test_an_interrupted_fit_ends_where_an_uninterrupted_one_does(tmp_path, monkeypatch):
    whole, history = run()
    for last in (2, 5):  # interrupted twice, each time after the checkpoint of an epoch
        with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
            patched.setattr(training, "live", interrupt_after(last))
            run(folder=tmp_path)
        assert (tmp_path / "last.pt").is_file()
    torch.manual_seed(99)
    resumed, rest = run(folder=tmp_path)
    assert same(whole, resumed)
    untimed = [frame.drop(columns="seconds") for frame in (history, rest)]
    pd.testing.assert_frame_equal(*untimed, check_exact=True)
    finished, kept = run(folder=tmp_path, seed=4)  # nothing is left to do
    assert same(whole, finished)
    pd.testing.assert_frame_equal(rest, kept)
    assert [file.name for file in tmp_path.iterdir()] == ["last.pt"]


def interrupt_after(epoch):
    """Stand in for the progress line: stop in the epoch after this one, before its checkpoint."""

    def live(text):
        if text.startswith(f"epoch {epoch + 1}/"):
            raise KeyboardInterrupt

    return live


def test_time_is_up_after_the_running_epoch():
    _, history = run(replace(QUICK, minutes=0))
    assert history["epoch"].tolist() == [1]


@pytest.fixture
def toy(monkeypatch, tmp_path):
    """Two made sources instead of the chest films, and a folder of one's own for weights."""

    def chest(part):
        people = {"train": "aab", "test": "c"}[part]
        yield Source(films(people, 20, "one"), plain, 300)
        yield Source(films(people, 20, "two"), data._halves, 300)

    monkeypatch.setitem(training.MODALITIES, "chest", chest)
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    return tmp_path


def test_training_writes_weights_and_a_card_that_the_codec_loads(toy):
    file = toy / f"{MODELS[0]}.safetensors"
    card = training.train("chest", file, replace(QUICK, epochs=2), checkpoints=toy / "kept")
    assert parse_strictly(file.with_suffix(".json")) == card == weights.card(MODELS[0])
    assert (card["name"], card["network"]) == (MODELS[0], "chest")
    assert [entry["patients"] for entry in card["trained_on"]] == [["a", "b"]] * 2
    assert [entry["source"] for entry in card["held_out"]] == ["one", "two"]
    assert {"held_out_loss", "loss"} < set(card["history"][-1])
    assert card["pixels_per_second"] > 0 and card["pixels"] > 1000
    assert card["parameters"] == sum(v.size for v in weights.arrays(MODELS[0]).values())
    codec, image = LearnedCodec(MODELS[0], standards=False), phantom(40)
    assert np.array_equal(codec.decode(codec.encode(image)), image)
    assert len(list((toy / "kept").iterdir())) == 1
    limited = training.train("chest", toy / "few.safetensors", replace(QUICK, epochs=1), limit=1)
    assert [entry["images"] for entry in limited["trained_on"]] == [1, 1]


def test_the_command_trains(toy, capsys):
    words = ["train", "beyond-the-papers", "--network", "chest", "--epochs", "1", "--limit", "1"]
    assert main([*words, "--seed", "5"]) == 0
    said = capsys.readouterr().out
    assert said.startswith("lossless-chest: ") and "bits a pixel" in said
    assert weights.card(MODELS[0])["schedule"]["seed"] == 5
    assert weights.path(MODELS[0]).parent == toy


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ([], "required: --network"),
        (["--network", "knee"], "invalid choice: 'knee'"),
        (["--network", "mri", "--limit", "0"], "must be 1 or more, not 0"),
        (["--network", "mri", "--epochs", "-1"], "must be 1 or more, not -1"),
        (["--network", "mri", "--minutes", "0"], "must be a number above 0"),
        (["--network", "mri", "--out", "net.bin"], "names a .safetensors file"),
    ],
)
def test_impossible_options_are_refused(words, reason, capsys):
    with pytest.raises(SystemExit) as ended:
        main(["train", "beyond-the-papers", *words])
    assert ended.value.code == 2 and reason in capsys.readouterr().err


@pytest.mark.parametrize("words", [["train", "--network", "mri"], ["reference"]])
def test_sources_are_not_to_be_chosen(words, capsys):
    command, *options = words
    assert main([command, "beyond-the-papers", "--source", "open-ms", *options]) == 2
    said = capsys.readouterr().err
    assert said == (
        "The sources of beyond-the-papers are fixed, several for each network; leave out "
        "--source.\n"
    )


def test_the_command_knows_all_networks():
    assert set(commands.MODALITIES) == set(training.MODALITIES)
    assert [f"lossless-{name}" for name in commands.MODALITIES] == list(MODELS)
    parser = argparse.ArgumentParser()
    all_commands.add_arguments(parser.add_subparsers())
    args = parser.parse_args(["train", "beyond-the-papers", "--network", "mri"])
    assert all_commands.scheduled(args, training.RECIPE) == training.RECIPE


def test_nobody_is_learnt_from_and_measured_on(monkeypatch):
    people = [f"person{k}" for k in range(60)]
    sources = {}

    def load(name, size=None, source="auto", **_):
        return sources.setdefault((name, source), replace(films("a"), **made(people, source)))

    def made(people, source):
        count = len(people)
        fields = dict.fromkeys(("images", "ids", "labels"), (0,) * count)
        return {**fields, "patients": tuple(people), "source": source}

    monkeypatch.setattr(data, "load", load)
    parts = {part: list(data.chest(part)) for part in ("train", "test")}
    for train, test in zip(parts["train"], parts["test"], strict=True):
        learnt, held_out = set(train.images.patients), set(test.images.patients)
        assert held_out and learnt and not learnt & held_out
        assert learnt | held_out == set(people)
    for train in parts["train"]:  # nor is anyone of one source tested in another
        assert not set(train.images.patients) & set(parts["test"][0].images.patients)


def test_heads_are_learnt_from_or_measured_on():
    train, test = (next(data.mri(part)) for part in ("train", "test"))
    assert train.images.source == test.images.source == "open-pack"
    assert test.images.patients and not set(train.images.patients) & set(test.images.patients)


def test_views_begin_at_zero_and_are_smaller():
    rng = np.random.default_rng(0)
    film = (phantom(600).astype(np.uint16) + 40) << 4
    views = data._scales(film, rng)
    assert [view.shape for view in views[:2]] == [(256, 256), (512, 512)]
    assert 256 <= len(views[2]) < 900 and views[3].shape == (300, 300)
    assert [view.shape for view in data._halves(film, rng)] == [(600, 600), (300, 300)]
    deep = data._depths(film, rng)
    assert len(deep) == 3 and all(view.max() < deep[0].max() for view in deep[1:])
    for view in (*views, *data._halves(film, rng), *deep):
        assert view.min() == 0 and view.dtype == np.int64
    margin = np.pad(phantom(40), ((0, 0), (0, 60)))
    assert data._tissue(margin, rng)[0].shape[1] < 60
    assert data._tissue(np.zeros((40, 40), np.uint8), rng) == []


def test_a_reduced_image_keeps_type_and_look():
    for dtype in (np.uint8, np.uint16, np.int16):
        image = phantom(120, dtype)[:, :90]
        small = data.reduced(image, 40)
        assert small.shape == (40, 30) and small.dtype == dtype
        mean = image.astype(float).reshape(40, 3, 30, 3).mean((1, 3))
        assert np.abs(small - mean).mean() < 0.05 * np.ptp(mean)
    assert data.reduced(texture((9, 1)), 3).shape == (3, 1)
