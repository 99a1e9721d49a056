"""The ablation by training: silenced parts have no influence, and rates are counted right."""

import json

import numpy as np
import pandas as pd
import pytest
import torch
from codec_images import phantom
from scipy.stats import norm

from helpers import weights
from helpers.cli import main
from helpers.data import ImageSet
from helpers.experiments import results
from helpers.experiments.beyond import ablation, ablation_reference, lossy_reference, pictures
from helpers.experiments.beyond.ablation import EVERYTHING, VARIANTS, Coded, Parts
from helpers.models.hyperprior.layout import BANDS, GROUPS, STARTS
from helpers.models.hyperprior.network import Hyperprior

pytestmark = pytest.mark.usefixtures("on_the_cpu")
SIDE = 8  # blocks


@pytest.fixture
def net():
    torch.manual_seed(0)
    return Hyperprior(torch.full((BANDS,), 20.0)).eval()


def films(count=3, side=80):
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


def lively(net, parts):
    """A variant whose last layers are no longer zero, so that what it knows shows."""
    made = ablation.variant(net, parts)
    if parts and parts.hyperprior:  # loud enough to be heard after rounding
        torch.nn.init.normal_(made.context.ask[4].weight, std=0.2)
    for last in made.context.out:
        torch.nn.init.normal_(last.weight, std=0.1)
    return made.eval()


def latents(seed=0, count=1):
    chance = torch.Generator().manual_seed(seed)
    whole = torch.randint(-3, 4, (count, BANDS, SIDE, SIDE), generator=chance)
    return Coded(whole.short(), torch.linspace(0.3, 0.7, count))


@torch.no_grad()
def laws(net, known, k):
    """Means and scales of group `k`."""
    unit = known.whole.float()
    hyper = net.context.hyper_latent(unit, known.level).round()
    hyper = net.context.hyper(hyper, known.level, unit.shape[2:])
    start, stop = STARTS[k], STARTS[k] + GROUPS[k]
    return torch.cat(
        net.context.group(k, hyper, unit[:, :start], unit[:, start:stop], known.level), 1
    )


def changed(known, where):
    other = known.whole.clone()
    other[where] += 40
    return Coded(other, known.level)


# what is changed: lower bands of the position (7, 7), and all bands of one too far for neighbours
LOWER = (0, slice(0, STARTS[5]), 7, 7)
ELSEWHERE = (0, slice(None), 0, 0)


@pytest.mark.parametrize("parts", VARIANTS.values(), ids=VARIANTS)
def test_only_what_a_variant_knows_has_influence(net, parts):
    some, known = lively(net, parts), latents()
    before = laws(some, known, 5)[0, :, 7, 7]

    def notices(where):
        return not torch.equal(before, laws(some, changed(known, where), 5)[0, :, 7, 7])

    assert notices(LOWER) == (parts.lower or parts.hyperprior)
    assert notices(ELSEWHERE) == parts.hyperprior


@pytest.mark.parametrize("neighbours", ["", "checkerboard", "stages"])
def test_neighbours_are_seen_in_their_stages(net, neighbours):
    some = lively(net, Parts(False, False, neighbours))
    known = latents()
    for k, (start, group) in enumerate(zip(STARTS, GROUPS, strict=True)):
        before = laws(some, known, k)
        late = laws(some, changed(known, (0, slice(start, start + group), 2, 2)), k) != before
        # the position (2, 2) is in stage 1 of five; its neighbours are in stage 3 and 4
        seen = late[0].any(0)
        assert seen[2, 1] == seen[1, 2] == (neighbours != "")
        assert seen[1, 1] == (neighbours == "stages" and k < 2)
        assert not seen[2, 2]


def test_with_everything_on_it_is_the_very_network(net):
    torch.manual_seed(5)
    fresh = ablation.ContextModel()
    made = ablation.variant(net, VARIANTS[EVERYTHING], seed=5).context
    assert made.state_dict().keys() == fresh.state_dict().keys()
    for one, other in ((made, fresh), (ablation.variant(net, None), net)):
        values = other.state_dict()
        assert all(torch.equal(value, values[key]) for key, value in one.state_dict().items())


def test_its_bits_are_those_of_the_network():
    torch.manual_seed(0)
    net = Hyperprior(torch.full((BANDS,), 20.0))
    # while it trains, the network's neighbours are noisy: without them
    net = lively(net, VARIANTS["hyperprior, lower bands"])
    # a transform whose latents are whole steps is rounded alike by both, if means are zero
    for last, group in zip(net.context.out, GROUPS, strict=True):
        last.weight.data[:group] = 0
    picture = torch.from_numpy(phantom(64).astype(np.float32) - 128)[None, None]
    level = torch.tensor([0.5])
    known = ablation.coded(net, picture, level)
    assert known.whole.dtype == torch.int16
    exact = known.whole.float() * net.step(level)
    net.analyse = lambda *_: exact
    with torch.no_grad():
        rate, _ = net(picture, level, rounded=True)
        found = ablation.bits(net, known) / picture.numel()
    assert float(found) == pytest.approx(float(rate), rel=1e-5)


def test_bits_of_a_made_case(net):
    """Without any part and untrained, each latent has a normal law of a quarter of the spread."""
    parts = VARIANTS["one law a band"]
    made, known = ablation.variant(net, parts), latents(count=2)
    found = ablation.bits(made, known, parts.hyperprior).detach().numpy()
    for picture in range(2):
        scale = 20 / net.step(known.level)[picture].detach().numpy() / 4
        whole = known.whole[picture].numpy()
        low, high = (norm.sf(np.abs(whole) + half, scale=scale) for half in (0.5, -0.5))
        expected = -np.log2(np.maximum(high - low, 2**-24)).sum()
        assert found[picture] == pytest.approx(expected, rel=1e-3)


def test_the_hyper_latent_is_paid_for(net):
    made, known = ablation.variant(net, VARIANTS["hyperprior"]), latents()
    free, paid = (ablation.bits(made, known, counted).item() for counted in (False, True))
    assert paid - free > 16 * (SIDE // 4) ** 2 * 0.5


def test_training_moves_the_context_alone(net):
    parts = VARIANTS["hyperprior, neighbours"]
    made = ablation.variant(net, parts)
    batches = [latents(0, 2)] * 12
    before = ablation.bits(made, batches[0]).sum().item()
    about = ablation.fit(made, batches, parts)
    assert about["steps"] == 12 and about["seconds"] > 0
    assert ablation.bits(made, batches[0]).sum().item() < 0.9 * before
    for name, value in net.state_dict().items():
        if not name.startswith("context."):
            assert torch.equal(made.state_dict()[name], value)


def test_shares_are_of_the_same_image():
    rows = [("a", "i", "p", 8, 1.0, 1.5), ("a", "i", "p", 24, 2.0, 3.0), ("b", "j", "q", 8, 1, 2)]
    columns = ["set", "image_id", "patient_id", "level", EVERYTHING, "hyperprior"]
    found = ablation_reference.more(pd.DataFrame(rows, columns=columns))
    found = found[found["variant"] == "hyperprior"].set_index("set")
    assert found["mean"].to_dict() == {"a": 50, "b": 100, "all": 75}
    assert found.loc["all", ["low", "high", "patients"]].tolist() == [50, 100, 2]


def test_the_reference_run_writes_its_tables(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(weights.FOLDER))
    film = films()
    albums = {"train": [pictures.Album(film, 1.0, 60)], "test": None}
    monkeypatch.setattr(pictures, "albums", lambda part, limit: albums[part])
    monkeypatch.setattr(pictures, "CROP", 64)
    monkeypatch.setattr(lossy_reference, "sets", lambda limit: {"films": film.spread(limit)})
    monkeypatch.setattr(ablation_reference, "BATCH", 1)
    monkeypatch.setattr(ablation_reference, "POINTS", (20, 40))
    file = ablation_reference.run(1, tmp_path / "a.json", steps=2)
    tables = ablation_reference.load_tables(file)
    assert tables["training"]["variant"].tolist() == list(VARIANTS)
    assert tables["rates"]["level"].tolist() == [20, 40]
    shipped = tables["rates"][ablation.SHIPPED]
    assert (tables["rates"][list(VARIANTS)].min(axis=1) > shipped).all()  # two steps are few
    assert json.loads(file.read_text())["command"].endswith("--codec ablation --limit 1")
    assert not results.FOLDER.samefile(tmp_path)


def test_the_command_starts_it(monkeypatch, capsys):
    asked = []
    file = ablation_reference.FILE
    monkeypatch.setattr(ablation_reference, "run", lambda limit: asked.append(limit) or file)
    command = ["reference", "beyond-the-papers", "--codec", "ablation", "--limit", "3"]
    assert main(command) == 0 and asked == [3]
    assert f"reference/results/{file.name}" in capsys.readouterr().out


def test_the_kept_run_is_of_the_shipped_weights():
    facts = ablation_reference.facts()
    assert facts["weights_sha256"] == {"hyper-mse": weights.sha256("hyper-mse").hex()}
    tables = ablation_reference.load_tables()
    assert tables["training"]["steps"].eq(facts["training"]["steps"]).all()
    again = ablation_reference.more(tables["rates"])
    kept = tables["more"]
    assert kept["mean"].tolist() == pytest.approx(again["mean"].tolist(), abs=1e-3)
