"""Five versions, five classifiers, one table: same women, same bytes, honest intervals."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch
from torch import nn

from helpers import roc
from helpers.codecs.shrink import ShrinkCodec
from helpers.data import ImageSet
from helpers.errors import DataError
from helpers.experiments.ldm_mammo import diagnosis, versions
from helpers.experiments.ldm_mammo.classifier import Settings

pytestmark = pytest.mark.usefixtures("one_thread")


def image_set(count, first, side=32):
    """Noise, brighter where the label says so; two images a woman."""
    rng = np.random.default_rng(first)
    labels = ["YES" if (k // 2) % 2 else "NO" for k in range(count)]
    return ImageSet(
        name="mammography",
        source="made",
        images=tuple(
            rng.integers(60, 120, (side, side)).astype(np.uint8) + np.uint8(60 * (label == "YES"))
            for label in labels
        ),
        ids=tuple(f"i{first + k}" for k in range(count)),
        patients=tuple(f"w{first + k // 2}" for k in range(count)),
        labels=tuple(labels),
        bit_depth=8,
        licence="none",
        citation="none",
    )


def test_the_five_versions_are_those_of_the_paper():
    images = image_set(2, 0)
    made = versions.versions(images, "lanczos")
    assert list(made) == ["source", "2x restored", "4x restored", "1/2 size", "1/4 size"]
    assert [part.images[0].shape[0] for part in made.values()] == [32, 32, 32, 16, 8]
    codec = ShrinkCodec(4, "lanczos")
    expected = codec.decode(codec.encode(images.images[1]))
    np.testing.assert_array_equal(made["4x restored"].images[1], expected)
    assert all(part.ids == images.ids for part in made.values())


class Mean(nn.Module):
    """A body of one BatchNorm: the mean of a batch's images."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(3)

    def forward(self, image):
        return self.norm(image).mean(dim=(2, 3)) * 4


def test_each_version_is_judged_by_its_own_classifier_from_one_beginning():
    parts = image_set(16, 0), image_set(8, 100), image_set(8, 200)
    settings, body = Settings(learning_rate=1e-3, batch=8, epochs=3), Mean()
    before = {name: value.clone() for name, value in body.state_dict().items()}
    judged, history = versions.scores(parts, "YES", "bicubic", settings, body=body, features=3)
    assert all(torch.equal(before[name], value) for name, value in body.state_dict().items())
    assert judged.groupby("version").size().to_dict() == dict.fromkeys(judged["version"], 8)
    assert set(judged["patient_id"]) == set(parts[2].patients)
    assert history.groupby("version").size().unique().tolist() == [3]
    again, _ = versions.scores(parts, "YES", "bicubic", settings, body=body, features=3)
    pd.testing.assert_frame_equal(judged, again)
    source = judged[judged["version"] == "source"]
    assert roc.auc(source["positive"], source["score"]) > 0.9


def test_what_a_folder_keeps_is_not_made_again(tmp_path, monkeypatch):
    parts = image_set(16, 0), image_set(8, 100), image_set(8, 200)
    settings, network = Settings(batch=8, epochs=1), {"body": Mean(), "features": 3}
    plain = versions.scores(parts, "YES", "bicubic", settings, **network)
    kept = versions.scores(parts, "YES", "bicubic", settings, folder=tmp_path, **network)
    pd.testing.assert_frame_equal(kept[0], plain[0], check_exact=True)
    prints = {part.fingerprint[:16] for part in parts}
    assert {file.name for file in tmp_path.glob("*.npz")} == {
        f"{n}x-bicubic-00000000-{name}.npz" for n in (2, 4) for name in prints
    }
    monkeypatch.setattr(versions, "restored", None)
    anew = replace(settings, seed=1)
    other, _ = versions.scores(parts, "YES", "bicubic", anew, folder=tmp_path, **network)
    assert not other.equals(kept[0])

    def refuse(*_):
        raise AssertionError("a finished version is judged again")

    monkeypatch.setattr(versions, "_judged", refuse)
    again = versions.scores(parts, "YES", "bicubic", settings, folder=tmp_path, **network)
    for table, before in zip(again, kept, strict=True):
        pd.testing.assert_frame_equal(table, before, check_exact=True)
    with pytest.raises(AssertionError, match="again"):  # the negative class is another task
        versions.scores(parts, "NO", "bicubic", settings, folder=tmp_path, **network)


@pytest.fixture
def judged():
    """Scores of 80 women: the source's are good, the second version's are noise."""
    rng = np.random.default_rng(0)
    positive = rng.random(80) < 0.5
    parts = []
    for version, strength in (("source", 3.0), ("1/4 size", 0.0), ("2x restored", 3.0)):
        logits = strength * (positive - 0.5) + rng.normal(size=80)
        parts.append(
            pd.DataFrame(
                {
                    "version": version,
                    "image_id": [f"i{k}" for k in range(80)],
                    "patient_id": [f"w{k}" for k in range(80)],
                    "positive": positive,
                    "score": 1 / (1 + np.exp(-logits)),
                }
            ).sample(frac=1, random_state=len(parts))
        )
    return pd.concat(parts)


def test_table_4_has_both_intervals(judged):
    table = versions.table4(judged).set_index(["version", "statistic", "interval"])
    assert len(table) == 3 * 4 * 2
    women, ten = (table.loc[("source", "AUC", kind)] for kind in ("women", "ten images"))
    part = judged[judged["version"] == "source"]
    assert women["mean"] == roc.auc(part["positive"], part["score"]) and women["patients"] == 80
    assert ten["high"] - ten["low"] > 2 * (women["high"] - women["low"])
    assert table.loc[("source", "accuracy", "women"), "mean"] == roc.accuracy(
        part["positive"], part["score"]
    )


def test_a_real_difference_is_found_and_none_is_not(judged):
    found = versions.differences(judged).set_index("version")
    assert found.loc["1/4 size", "high"] < 0 and found.loc["1/4 size", "p"] < 1e-6
    assert found.loc["2x restored", "low"] < 0 < found.loc["2x restored", "high"]
    assert "source" not in found.index


def test_sources_without_diagnoses_are_refused():
    with pytest.raises(DataError, match=r"'open-pack' are too few .* take one of embed"):
        diagnosis.parts("open-pack")


def test_the_official_test_part_is_tested_on(monkeypatch):
    women = [*((k, "Training") for k in range(1, 9)), (9, "Test")]

    def load(name, size, source, depth, limit):
        assert (name, size, source, depth) == ("mammography", None, "cbis-ddsm-256", 8)
        films = image_set(9, 0)
        return ImageSet(
            name=name,
            source=source,
            images=films.images,
            ids=tuple(f"Mass-{part}_P_{number:05d}_LEFT_CC" for number, part in women),
            patients=tuple(f"P_{number:05d}" for number, _ in women),
            labels=("BENIGN", "MALIGNANT") * 4 + ("BENIGN",),
            bit_depth=8,
            licence="none",
            citation="none",
        )

    monkeypatch.setattr(diagnosis, "load", load)
    train, validation, test = diagnosis.parts("cbis-ddsm-256")
    assert test.patients == ("P_00009",) and len(train) == 6 and len(validation) == 2
