"""What the lossless codec is measured by, on made-up films and with small networks."""

from dataclasses import replace

import numpy as np
import pytest
from codec_images import phantom
from context_networks import draw, save

from helpers.codecs.classical import JpegXl
from helpers.codecs.learned import MODELS, LearnedCodec
from helpers.data import ImageSet
from helpers.errors import DataError
from helpers.experiments.beyond import latent, measures, reference

NAME = "tiny-context"


def films(count=2, side=40, bits=8, name="films"):
    images = tuple(phantom(side, seed=k).astype(np.uint16) << (bits - 8) for k in range(count))
    return ImageSet(
        name=name,
        source="made",
        images=tuple(image.astype(np.uint8 if bits == 8 else np.uint16) for image in images),
        ids=tuple(f"film{k}" for k in range(count)),
        patients=tuple(f"child{k}" for k in range(count)),
        labels=("",) * count,
        bit_depth=bits,
        licence="none",
        citation="nobody, 2020",
    )


@pytest.fixture
def two_sets(context_networks):
    sets = {"eight": films(), "twelve": films(bits=12)}
    return sets, dict.fromkeys(sets, NAME)


def test_shares_are_those_of_real_streams(two_sets):
    sets, models = two_sets
    found = measures.shares(sets, models)
    assert found["set"].tolist() == ["eight", "eight", "twelve", "twelve"]
    assert found["exact"].all()
    for row in found.itertuples():
        image = sets[row.set].images[sets[row.set].ids.index(row.image_id)]
        assert row.pixels == image.size and row.patient_id == row.image_id.replace("film", "child")
        assert row.learned == len(LearnedCodec(NAME).encode(image))
        assert row.jpegxl == len(JpegXl().encode(image))
        assert row.share == row.learned / row.jpegxl
    pooled = reference.pooled(found)
    eight = found[found["set"] == "eight"]
    assert pooled["eight"] == eight["learned"].sum() / eight["jpegxl"].sum()


def test_each_step_is_another_code(two_sets):
    found = measures.steps(*two_sets)
    assert list(found["step"].unique()) == [name for name, *_ in measures.STEPS]
    assert len(found) == 4 * len(measures.STEPS)
    sizes = found[found.image_id == "film0"].groupby("set")["bytes"].nunique()
    assert (sizes >= 4).all()


def test_every_network_codes_every_set(two_sets):
    sets, _ = two_sets
    found = measures.elsewhere(sets, MODELS)
    assert len(found) == 4 * len(MODELS) and set(found["model"]) == set(MODELS)
    assert found.groupby("image_id")["bytes"].nunique().min() > 1


def gain(monkeypatch, told):
    """Bits a pixel that a reconstruction saves: the film itself, or a black one."""

    class Teller:
        def __init__(self, model):
            assert model == latent.MODEL

        def predict(self, film):
            return bytes(16), film if told else np.zeros_like(film)

    monkeypatch.setattr(latent, "DeltaCodec", Teller)
    monkeypatch.setattr(latent, "SCHEDULE", replace(latent.SCHEDULE, epochs=15, batch=64))
    found = latent.worth(films(3, 32), films(2, 32))
    assert found["latent"].tolist() == [128 / 32**2] * 2
    return (found["without"] - found["with_it"]).mean()


def test_a_reconstruction_helps_if_it_tells_something(monkeypatch):
    gains = [gain(monkeypatch, told) for told in (True, False)]
    assert gains[0] > 0.5 and gains[0] > gains[1] + 0.4


def test_the_reference_run_writes_what_the_page_reads(monkeypatch, tmp_path, context_networks):
    monkeypatch.setattr(reference, "sets", lambda limit: {reference.KERMANY: (NAME, films(3))})
    monkeypatch.setattr(reference, "load", lambda *args, **more: films(20))
    monkeypatch.setattr(
        reference.latent,
        "worth",
        lambda training, test: measures.pd.DataFrame(
            {"image_id": test.ids, "without": 3.0, "with_it": 2.0, "latent": float(len(training))}
        ),
    )
    file = reference.run(2, tmp_path / "made.json")
    tables = reference.load_tables(file)
    assert set(tables) == {"shares", "steps", "elsewhere", "latent"}
    assert tables["latent"]["latent"].tolist() == [2.0] * 3
    facts = reference.facts(file)
    assert facts["command"] == f"{reference.COMMAND} --limit 2"
    assert facts["images"][0]["name"] == reference.KERMANY
    assert set(facts["weights_sha256"]) == set(MODELS)
    with pytest.raises(DataError, match="python -m helpers reference beyond-the-papers"):
        reference.facts(tmp_path / "none.json")


def test_damaged_weights_are_told(monkeypatch, tmp_path):
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path))
    state = draw()
    state["second.weight"] = state["second.weight"][:, :-1]
    save(tmp_path, "odd", state)
    with pytest.raises(DataError, match="do not fit together"):
        LearnedCodec("odd").encode(films().images[0])
