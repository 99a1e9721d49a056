"""pyproject.toml, constraints.txt and environment.yml describe the same environment."""

import json
import re
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.version import Version

from helpers import environment

ROOT = Path(__file__).resolve().parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
EXTRAS = PROJECT["optional-dependencies"]
REQUIREMENTS = [
    Requirement(text) for text in [*PROJECT["dependencies"], *EXTRAS["gpu"], *EXTRAS["dev"]]
]
LINES = [
    line
    for line in (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize("requirement", REQUIREMENTS, ids=str)
def test_each_dependency_has_one_pin_inside_its_range(requirement):
    name = environment.normalise(requirement.name)
    pins = [line for line in LINES if environment.normalise(line.split("==")[0]) == name]
    assert len(pins) == 1
    assert requirement.specifier, f"{name} has no range"
    assert requirement.specifier.contains(pins[0].split("==")[1])


def test_constraints_are_exact_and_name_no_index():
    names = [environment.normalise(line.split("==")[0]) for line in LINES]
    assert len(names) == len(set(names))
    for line in LINES:
        assert re.fullmatch(r"[\w.-]+==[\w.!+]+( ; .+)?", line), line
    text = (ROOT / "constraints.txt").read_text(encoding="utf-8")
    assert "://" not in text
    assert "-index" not in text


def test_jupyter_book_is_the_first():
    (requirement,) = [r for r in REQUIREMENTS if r.name == "jupyter-book"]
    assert not requirement.specifier.contains("2.0.0")
    assert Version(environment.read_pins(ROOT / "constraints.txt")["jupyter-book"]).major == 1


def test_conda_environment_installs_this_project_with_these_pins():
    conda = yaml.safe_load((ROOT / "environment.yml").read_text(encoding="utf-8"))
    (python,) = [d for d in conda["dependencies"] if str(d).startswith("python=")]
    version = python.removeprefix("python=")
    assert SpecifierSet(PROJECT["requires-python"]).contains(version)
    assert version == environment.LOCKED_PYTHON
    assert "pip" in conda["dependencies"]
    (pip,) = [d["pip"] for d in conda["dependencies"] if isinstance(d, dict)]
    assert pip == ["--constraint constraints.txt", "--editable .[dev]"]


def test_check_env_knows_the_python_versions_of_the_project():
    allowed = SpecifierSet(PROJECT["requires-python"])
    versions = [(3, minor) for minor in range(8, 20)]
    inside = [v for v in versions if allowed.contains(f"{v[0]}.{v[1]}.0")]
    assert [v for v in versions if environment.check_python(v)[0] == "ok"] == inside


def test_too_old_python_is_told_what_to_do():
    level, sentence = environment.check_python((3, 9))
    assert level == "missing"
    assert "make book PYTHON=python3.11" in sentence


def test_this_environment_is_complete():
    level, sentence = environment.check_packages(ROOT)
    assert level in ("ok", "note"), sentence


@pytest.mark.parametrize(
    ("dependency", "pin", "level", "words"),
    [
        ("numpy>=2", f"numpy=={__import__('numpy').__version__}", "ok", "All 1 packages"),
        ("numpy>=2", "numpy==0.1", "note", "instead of 0.1"),
        ("no_such.package>=2", "no-such-package==2", "missing", "no-such-package"),
    ],
)
def test_packages(tmp_path, dependency, pin, level, words):
    (tmp_path / "pyproject.toml").write_text(
        f'[project]\ndependencies = ["{dependency}"]\n[project.optional-dependencies]\ndev = []\n'
    )
    (tmp_path / "constraints.txt").write_text(f"# pins\n{pin}\n")
    found, sentence = environment.check_packages(tmp_path)
    assert found == level
    assert words in sentence


def test_kernel(tmp_path):
    assert environment.check_kernel(tmp_path)[0] == "missing"
    spec = tmp_path / "share" / "jupyter" / "kernels" / "python3" / "kernel.json"
    spec.parent.mkdir(parents=True)
    spec.write_text(json.dumps({"argv": ["python", "-m", "ipykernel_launcher"]}))
    assert environment.check_kernel(tmp_path)[0] == "ok"
    spec.write_text(json.dumps({"argv": ["/elsewhere/bin/python"]}))
    assert environment.check_kernel(tmp_path)[0] == "note"
    assert environment.check_kernel(Path(sys.prefix))[0] == "ok"  # the kernel of `make lab`


def test_memory_and_disk():
    assert environment.check_memory(16 * 2**30)[0] == "ok"
    assert environment.check_memory(4 * 2**30)[0] == "note"
    assert environment.check_memory(None)[0] == "note"
    assert environment.check_disk(200 * 2**30)[0] == "ok"


def test_lock_keeps_the_old_pins_when_uv_fails(tmp_path, capsys):
    (tmp_path / "pyproject.toml").write_text("no toml [")
    (tmp_path / "constraints.txt").write_text("numpy==2.0\n")
    assert environment.lock(tmp_path) == 1
    assert (tmp_path / "constraints.txt").read_text() == "numpy==2.0\n"
    assert "uv could not" in capsys.readouterr().err
