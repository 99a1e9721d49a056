"""The reference run of the latent-diffusion chapter, on a few small films and patches."""

import math
from dataclasses import replace

import numpy as np
import pytest
import toy_classifier
from codec_images import phantom
from conftest import parse_strictly

from helpers import upscalers, weights
from helpers.data import ImageSet
from helpers.errors import DataError
from helpers.experiments.ldm_mammo import classifier, diagnosis, reference, stages, versions
from helpers.experiments.ldm_mammo import classifier_search as searching
from helpers.experiments.ldm_mammo import measurements as m
from helpers.experiments.ldm_mammo.lesions import ABSENT, MASS, PRESENT, Lesion, insert
from helpers.experiments.ldm_mammo.task import Task

pytestmark = pytest.mark.usefixtures("on_the_cpu")
SOURCE, PIXEL_MM = "cbis-ddsm-256", 0.2
SCALE = {"measured": 2, "patches": 20, "epochs": 2, "trials": 2}


def image_set(images, ids, patients, labels, source=SOURCE):
    return ImageSet(
        name="mammography",
        source=source,
        images=tuple(images),
        ids=tuple(ids),
        patients=tuple(patients),
        labels=tuple(labels),
        bit_depth=8,
        licence="none",
        citation="none",
    )


def films(name, size, source, depth, limit):
    """Twelve women with a film of each breast, three of them of the official test part."""
    assert (name, size, source, depth) == ("mammography", None, SOURCE, 8)
    women = [f"P_{number:05d}" for number in range(12)]
    parts = ["Test" if number < 3 else "Training" for number in range(12)]
    made = image_set(
        (phantom(32, seed=k) // 2 + 40 for k in range(24)),
        (
            f"Mass-{part}_{woman}_{side}_CC"
            for woman, part in zip(women, parts, strict=True)
            for side in ("LEFT", "RIGHT")
        ),
        np.repeat(women, 2).tolist(),
        ("BENIGN", "MALIGNANT") * 12,
    )
    return made.spread(limit)


def detection(source, side, count, strength):
    """A few patches with and without a mass, instead of those of the open pack."""
    assert (source, side, strength) == ("open-pack", reference.PATCH, 1)
    lesions = {f"p{k}": Lesion(MASS, 32, 32, 12, 0.2 * (k % 2), seed=k) for k in range(count // 5)}
    row, column = np.mgrid[:64, :64]
    patches = image_set(
        (
            insert((100 + row / 4 + column / 8 + k).astype(np.uint8), lesion, PIXEL_MM)
            for k, lesion in enumerate(lesions.values())
        ),
        lesions,
        ("w",) * len(lesions),
        (PRESENT if lesion.contrast else ABSENT for lesion in lesions.values()),
        source,
    )
    return Task(None, None, patches, lesions, PIXEL_MM)


@pytest.fixture(autouse=True)
def small(monkeypatch, tmp_path):
    """Filters in place of networks, a body of one convolution, and weights that are only named."""
    folder = tmp_path / "weights"
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(folder))
    monkeypatch.setattr(weights, "FOLDER", folder)
    for name in reference.WEIGHTS:
        weights.save({"w": np.ones(1)}, folder / f"{name}.safetensors", {"name": name})
    monkeypatch.setattr(upscalers, "find", lambda download: upscalers.get("bicubic"))
    monkeypatch.setattr(upscalers, "GENERAL", "lanczos")
    monkeypatch.setattr(m, "RIVALS", {"super-resolution": "lanczos", "bicubic": "bicubic"})
    monkeypatch.setattr(m, "FAMILIES", {8: ("jpeg2000",)})
    monkeypatch.setattr(stages, "MEASURES", ("bytes", "bpp", "psnr", "ssim"))  # MS-SSIM needs more
    distance = (lambda original, decoded, peak: abs(original - 1.0 * decoded).mean(), "made up")
    monkeypatch.setattr(stages.perceptual, "lpips", lambda: distance)
    monkeypatch.setattr(diagnosis, "load", films)
    monkeypatch.setattr(reference.task, "detection", detection)
    monkeypatch.setattr(reference.imagenet, "resnet50", lambda: ({}, "made up"))
    network = {"body": toy_classifier.body(), "features": toy_classifier.FEATURES}
    for module, name in ((searching, "search"), (versions, "scores")):
        monkeypatch.setattr(module, name, with_options(getattr(module, name), network))
    return tmp_path


def with_options(function, options):
    return lambda *given, **more: function(*given, **{**more, **options})


@pytest.fixture
def counted(monkeypatch):
    """How often films are measured, images restored and classifiers trained."""
    calls = dict.fromkeys(("sizes", "quality", "restored", "fit"), 0)

    def count(name, module):
        function = getattr(module, name)

        def counting(*given, **more):
            calls[name] += 1
            return function(*given, **more)

        monkeypatch.setattr(module, name, counting)

    count("sizes", stages.shrink)
    count("quality", m)
    count("restored", m)
    count("fit", classifier)
    monkeypatch.setattr(searching, "fit", lambda *given, **more: classifier.fit(*given, **more))
    monkeypatch.setattr(versions, "restored", lambda *given: m.restored(*given))
    return calls


ALL = {"sizes": 1, "quality": 1, "restored": 8 + 6, "fit": 2 + 5}


def test_the_whole_run_on_a_few_small_films(small, counted):
    file = reference.run([SOURCE], file=small / "r.json", **SCALE)
    assert counted == ALL
    result, tables = parse_strictly(file), reference.load(file)
    assert result == reference.facts(file)
    words = "--measured 2 --patches 20 --epochs 2 --trials 2"
    assert result["command"] == f"{reference.COMMAND} --source {SOURCE} {words}"
    assert result["scale"] == {"films": None, **SCALE}
    assert set(result["weights_sha256"]) == {
        "superres", "upscaler-vae", "upscaler-unet", "upscaler-unet-photographs"
    }  # fmt: skip
    assert result["weights_sha256"]["superres"] == weights.sha256("superres").hex()
    assert result["upscaler"] == {"name": "bicubic", "why": upscalers.get("bicubic").why}
    assert result["imagenet"] == "made up" and set(result["seconds"]) == {
        "sizes", "quality", "rates", "search", "scores"
    }  # fmt: skip
    sides = {part["side"]: (part["source"], part["images"]) for part in result["images"]}
    assert sides == {
        "train": (SOURCE, 14),
        "validation": (SOURCE, 4),
        "test": (SOURCE, 6),
        "patches": ("open-pack", 4),
    }
    check_films(tables)
    check_rates(tables["rates"])
    check_classifiers(tables, result["settings"])


def check_films(tables):
    cohort = tables["cohort"].set_index(["side", "label"])
    assert cohort["images"].to_list() == [7, 7, 2, 2, 3, 3]
    assert cohort.loc[("test", "MALIGNANT"), "patients"] == 3
    sizes = tables["sizes"]
    assert set(sizes["factor"]) == {1, 2, 4} and (sizes["images"] == 6).all()
    table = tables["quality"].set_index(["factor", "codec", "measure"])
    codecs = {m.DIFFUSION, m.BEFORE, *m.RIVALS, "jpeg2000"}
    measures = (*stages.MEASURES, "lpips")
    assert set(table.index) == {(f, c, x) for f in (2, 4) for c in codecs for x in measures}
    same, other = (table.xs((2, codec), level=(0, 1)) for codec in (m.DIFFUSION, m.BEFORE))
    assert same.loc["bytes", "mean"] == other.loc["bytes", "mean"]
    assert same.loc["psnr", "mean"] != other.loc["psnr", "mean"]
    test = diagnosis.parts(SOURCE)[2].spread(2)
    psnr = m.quality(test, {"x": "bicubic"}, (2,), ("psnr",))["psnr"]
    assert same.loc["psnr", "mean"] == pytest.approx(psnr.mean(), rel=1e-5)
    assert same.loc["psnr", "variance"] == pytest.approx(psnr.var(), rel=1e-5)


def check_rates(table):
    assert len(table) == 2 * len(stages.JUDGED) and set(table["kind"]) == {MASS}
    assert (table["seen"] == 2).all() and (table["clear"] == 2).all()
    for share in ("erased", "invented"):
        low, high = table[f"{share}_low"], table[f"{share}_high"]
        assert ((low <= table[share]) & (table[share] <= high) & (high - low > 0.4)).all()


def check_classifiers(tables, settings):
    wide = tables["scores"]
    five = ["source", "2x restored", "4x restored", "1/2 size", "1/4 size"]
    assert wide.columns.to_list() == ["image_id", "patient_id", "positive", *five]
    assert len(wide) == 6 and wide["positive"].sum() == 3
    assert wide[five].gt(0).all(axis=None) and wide[five].lt(1).all(axis=None)
    assert tables["history"].groupby("version").size().to_dict() == dict.fromkeys(five, 2)
    trials = tables["trials"]
    assert trials.columns.to_list() == [
        "number", "learning_rate", "weight_decay", "dropout", "batch",
        "validation_loss", "validation_auc", "epoch", "state",
    ]  # fmt: skip
    assert trials["number"].to_list() == [0, 1] and set(trials["state"]) == {"COMPLETE"}
    best = trials.loc[trials["validation_loss"].idxmin()]
    assert settings["learning_rate"] == pytest.approx(best["learning_rate"], rel=1e-5)
    assert (settings["batch"], settings["epochs"]) == (best["batch"], 2)


def test_a_second_run_measures_nothing_and_another_one_does(small, counted):
    def run(**other):
        counted.update(dict.fromkeys(counted, 0))
        file = reference.run([SOURCE], small / "kept", small / "r.json", **{**SCALE, **other})
        return {key: value for key, value in parse_strictly(file).items() if key != "date"}

    first = run()
    assert counted == ALL
    assert run() == first and not any(counted.values())
    assert run(measured=3)["tables"]["sizes"] == first["tables"]["sizes"]
    assert counted == {"sizes": 0, "quality": 1, "restored": 0, "fit": 0}
    more = run(epochs=3)
    assert counted == {"sizes": 0, "quality": 0, "restored": 0, "fit": 7}
    assert len(more["tables"]["history"]) == 15 and more["settings"]["epochs"] == 3
    name = reference.WEIGHTS[0]
    weights.save({"w": np.zeros(1)}, small / "weights" / f"{name}.safetensors", {"name": name})
    run()
    assert counted == {"sizes": 0, "quality": 1, "restored": 8, "fit": 0}


def test_an_interrupted_run_goes_on_and_ends_with_the_same_numbers(small, counted, monkeypatch):
    whole = reference.load(reference.run([SOURCE], file=small / "whole.json", **SCALE))
    fit, epoch, fits, epochs = classifier.fit, classifier.Run.epoch, [], []

    def killed(train, validation, settings, **options):
        fits.append(1)
        if len(fits) < 5:
            return fit(train, validation, settings, **options)
        fit(train, validation, replace(settings, epochs=1), **options)  # of the third version
        raise KeyboardInterrupt

    def counting(*given):
        epochs.append(1)
        return epoch(*given)

    monkeypatch.setattr(classifier, "fit", killed)
    with pytest.raises(KeyboardInterrupt):
        reference.run([SOURCE], small / "kept", small / "r.json", **SCALE)
    assert not (small / "r.json").exists()
    monkeypatch.setattr(classifier, "fit", fit)
    monkeypatch.setattr(classifier.Run, "epoch", counting)
    counted.update(dict.fromkeys(counted, 0))
    again = reference.load(reference.run([SOURCE], small / "kept", small / "r.json", **SCALE))
    assert counted == {"sizes": 0, "quality": 0, "restored": 0, "fit": 3}
    assert len(epochs) == 1 + 2 + 2
    for name in whole:
        assert (
            again[name]
            .drop(columns="seconds", errors="ignore")
            .equals(whole[name].drop(columns="seconds", errors="ignore"))
        )


def test_what_is_missing_is_missed_before_anything_is_measured(small, monkeypatch):
    monkeypatch.setattr(reference, "_stages", None)

    def refused(kind, sentence, sources=(SOURCE,), **asked):
        with pytest.raises(kind, match=sentence):
            reference.run(sources, file=small / "r.json", **asked)

    refused(DataError, "films of 'open-pack' are too few", ["open-pack"])
    refused(ValueError, "takes one source of films with diagnoses, not 2", [SOURCE, "embed"])
    refused(ValueError, "train films of 'cbis-ddsm-256', 4 of them, lack a class", films=6)
    (small / "weights" / "upscaler-unet.safetensors").unlink()
    refused(DataError, "no weights named 'upscaler-unet' on this machine")
    assert not (small / "r.json").exists()


def test_a_share_of_none_has_no_interval():
    assert all(math.isnan(end) for end in stages._wilson(math.nan, 0))
    low, high = stages._wilson(0.0, 10)
    assert low == 0 and high == pytest.approx(0.2775, abs=1e-4)  # 3.8416 / (10 + 3.8416)


def test_trials_that_diverged_are_listed_without_a_loss(monkeypatch):
    real = searching.fit

    def fit(train, validation, settings, **options):
        if settings.learning_rate != classifier.Settings().learning_rate:
            raise classifier.Diverged("too fast")
        return real(train, validation, settings, **options)

    monkeypatch.setattr(searching, "fit", fit)
    parts = diagnosis.parts(SOURCE)
    tables = stages.search(parts, "MALIGNANT", 2, 4, {}, None)
    assert tables["trials"]["state"].to_list() == ["COMPLETE", "PRUNED"]
    assert tables["trials"]["validation_loss"].isna().to_list() == [False, True]
    (best,) = tables["settings"].to_dict("records")
    assert classifier.Settings(**best) == replace(classifier.Settings(), epochs=4)


def test_the_first_result_is_missing_in_one_sentence(small):
    with pytest.raises(DataError, match=r"make it with: python -m helpers reference ldm-"):
        reference.load(small / "none.json")
