import json
import subprocess
import sys

import pytest

from helpers import provenance

RECORD = """
import json
import IPython.display
shown = []
IPython.display.display = lambda data, raw, metadata: shown.append((data, metadata))
from helpers import provenance

class Three:
    name, source, licence, citation, preparation = "brain-mri", "siar", "CC0", "Ann 2020", ""
    fingerprint = "ab" * 32
    def __len__(self):
        return 3

provenance.record(Three(), seed=5)
print(json.dumps(shown))
"""


def test_record_says_what_the_images_are_and_shows_nothing():
    answer = subprocess.run(
        [sys.executable, "-c", RECORD], capture_output=True, text=True, check=True
    )
    ((data, metadata),) = json.loads(answer.stdout)
    assert data == {"text/plain": ""}
    assert metadata["book"] == {
        "kind": "provenance",
        "name": "brain-mri",
        "source": "siar",
        "images": 3,
        "fingerprint": "ab" * 32,
        "licence": "CC0",
        "citation": "Ann 2020",
        "preparation": "",
        "seed": 5,
    }


def test_device_without_card(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert provenance.gpus() == []
    assert provenance.device().startswith("CPU (")


@pytest.mark.parametrize(("code", "cards"), [(0, ["Card A", "Card B"]), (9, [])])
def test_cards_from_the_driver(tmp_path, monkeypatch, code, cards):
    tool = tmp_path / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\necho 'Card A'\necho 'Card B'\nexit {code}\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    assert provenance.gpus() == cards


def test_versions_are_those_installed(monkeypatch):
    import numpy

    assert provenance.versions()["numpy"] == numpy.__version__
    monkeypatch.setattr(provenance, "PACKAGES", ("numpy", "no-such-package"))
    assert set(provenance.versions()) == {"python", "numpy"}


def test_importing_helpers_loads_no_framework():
    code = (
        "import sys, helpers, helpers.progress, helpers.provenance, helpers.runner, helpers.cli; "
        "print([m for m in ('torch', 'tensorflow', 'keras', 'papermill') if m in sys.modules])"
    )
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout.strip() == "[]"
