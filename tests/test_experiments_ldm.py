"""The commands of the latent-diffusion chapter, and what keeps a long run's finished work."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from helpers import weights
from helpers.cli import main
from helpers.data import ImageSet
from helpers.experiments.ldm_mammo import finetuning, keeping, reference, training
from helpers.upscalers import hub


@pytest.fixture
def asked(monkeypatch):
    """A training that only notes what it is asked for."""
    found = {}

    def train(network, sources, out, schedule, **more):
        found.update(more, network=network, sources=sources, out=out, schedule=schedule)
        last = {"held_out_psnr": 20.0}
        return {"name": out.stem, "images_per_second": 1, "bytes": 2, "history": [last]}

    monkeypatch.setattr(training, "train", train)
    return found


@pytest.mark.parametrize(
    ("network", "name"),
    [("vae", "upscaler-vae"), ("unet", "upscaler-unet"), ("superres", "superres")],
)
def test_each_network_has_its_recipe_and_its_file(asked, capsys, network, name):
    assert main(["train", "ldm-mammography", "--network", network]) == 0
    assert asked == {
        "network": network,
        "sources": ["auto"],
        "out": weights.own(name),
        "schedule": training.RECIPES[network],
        "checkpoints": None,
        "limit": None,
        "begin": None,
    }
    said = capsys.readouterr().out
    assert said == f"{name}: 1 images/s, held-out PSNR 20.00 dB, 2 bytes\n"


def test_a_fine_tuning_is_what_the_options_say(asked, tmp_path):
    out = tmp_path / "tuned.safetensors"
    words = ["--source", "photographs", "--source", "both", "--epochs", "7", "--minutes", "2.5"]
    words += ["--begin", "upscaler-unet-photographs", "--limit", "9", "--seed", "5"]
    words += ["--out", str(out), "--checkpoints", str(tmp_path)]
    assert main(["train", "ldm-mammography", "--network", "unet", *words]) == 0
    assert asked["sources"] == ["photographs", "both"] and asked["out"] == out
    assert (asked["begin"], asked["limit"]) == ("upscaler-unet-photographs", 9)
    assert asked["checkpoints"] == tmp_path
    recipe = training.RECIPES["unet"]
    assert asked["schedule"] == replace(recipe, epochs=7, minutes=2.5, seed=5)


def test_only_the_u_net_begins_with_other_weights(capsys):
    words = ["--network", "vae", "--begin", "upscaler-vae"]
    assert main(["train", "ldm-mammography", *words]) == 2
    assert "Only the U-Net is fine-tuned, not 'vae'" in capsys.readouterr().err


def test_the_papers_upscaler_is_fine_tuned_where_it_is_at_hand(monkeypatch, capsys, tmp_path):
    words = ["train", "ldm-mammography", "--network", "papers"]
    monkeypatch.setattr(hub, "load", lambda: (None, "it is not on this machine"))
    assert main(words) == 2
    said = capsys.readouterr().err
    assert f"{hub.REPOSITORY} cannot be fine-tuned: it is not on this machine." in said
    found = []

    def finetune(*given, **more):
        found.append((given, more))
        return {"history": [{"held_out_psnr": 20.0}]}

    monkeypatch.setattr(hub, "load", lambda: ("the pipeline", "it was read from the hub"))
    monkeypatch.setattr(finetuning, "finetune", finetune)
    out = ["--out", str(tmp_path / "mine.safetensors"), "--epochs", "3", "--limit", "9"]
    assert main([*words, *out, "--source", "open-pack"]) == 0
    schedule = replace(finetuning.RECIPE, epochs=3)
    given = ("the pipeline", ["open-pack"], tmp_path / "mine", schedule)
    assert found == [(given, {"checkpoints": None, "limit": 9})]
    assert f"{hub.VARIABLE}={tmp_path / 'mine'}" in capsys.readouterr().out


def test_a_training_names_its_network(capsys):
    with pytest.raises(SystemExit):
        main(["train", "ldm-mammography"])
    assert "--network" in capsys.readouterr().err


def test_the_reference_run_is_given_what_was_asked_and_no_more(monkeypatch, capsys):
    calls = []

    def run(sources, checkpoints, **asked):
        calls.append((sources, checkpoints, asked))
        return reference.FILE

    monkeypatch.setattr(reference, "run", run)
    assert main(["reference", "ldm-mammography"]) == 0
    words = ["--source", "embed", "--films", "1", "--measured", "2", "--patches", "30"]
    words += ["--epochs", "4", "--trials", "5", "--checkpoints", "kept"]
    assert main(["reference", "ldm-mammography", *words]) == 0
    scale = {"films": 1, "measured": 2, "patches": 30, "epochs": 4, "trials": 5}
    assert calls == [(["cbis-ddsm-256"], None, {}), (["embed"], Path("kept"), scale)]
    assert reference.Scale(**scale).trials == 5  # the options are its fields
    assert "reference/results/ldm-mammography.json" in capsys.readouterr().out


def test_tables_are_made_once_and_read_to_the_last_digit(tmp_path):
    calls = []

    def make():
        calls.append(1)
        rows = {"name": ["a", "b"], "value": [1 / 3, np.nan], "count": [1, 2], "yes": [True, False]}
        return {"one": pd.DataFrame(rows), "none": pd.DataFrame()}

    def tables(folder, *depends):
        return keeping.tables(folder, "stage", depends, make)

    (made, seconds), (again, same) = tables(tmp_path, "x", 1), tables(tmp_path, "x", 1)
    pd.testing.assert_frame_equal(made["one"], make()["one"])
    pd.testing.assert_frame_equal(again["one"], made["one"], check_exact=True)
    assert again["none"].empty and same == seconds and len(calls) == 2
    tables(tmp_path, "x", 2)
    assert len(calls) == 3 and len(list(tmp_path.iterdir())) == 2
    tables(None, "x", 1)
    assert len(calls) == 4 and len(list(tmp_path.iterdir())) == 2
    for file in tmp_path.iterdir():
        file.write_text("{", encoding="utf-8")
    damaged, _ = tables(tmp_path, "x", 1)
    pd.testing.assert_frame_equal(damaged["one"], made["one"])
    assert len(calls) == 5


def test_images_are_made_once_unless_their_file_is_damaged(tmp_path):
    rng, calls = np.random.default_rng(0), []
    images = ImageSet(
        name="mammography",
        source="made",
        images=tuple(rng.integers(0, 2**16, (2, 8, 8)).astype(np.uint16)),
        ids=("i", "j"),
        patients=("a", "b"),
        labels=("YES", "NO"),
        bit_depth=16,
        licence="none",
        citation="none",
    )

    def make():
        calls.append(1)
        return images

    file = tmp_path / "new" / "set.npz"
    assert keeping.images(file, make) is images
    again = keeping.images(file, make)
    assert keeping.told(again) == keeping.told(images) and again.images[0].dtype == np.uint16
    assert len(calls) == 1
    file.write_bytes(file.read_bytes()[:-30])
    assert keeping.images(file, make) is images and len(calls) == 2
    assert keeping.told(keeping.images(file, make)) == keeping.told(images) and len(calls) == 2


def test_sets_differ_by_pixels_and_by_labels():
    one = ImageSet("n", "s", (np.zeros((2, 2), np.uint8),), ("i",), ("a",), ("YES",), 8, "", "")
    others = [
        replace(one, images=(np.ones((2, 2), np.uint8),)),
        replace(one, labels=("NO",)),
        replace(one, patients=("b",)),
    ]
    assert len({keeping.key(keeping.told(images)) for images in (one, *others)}) == 4
