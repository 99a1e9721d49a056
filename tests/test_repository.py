"""What may be committed and what may not."""

import re
import shutil
import subprocess
from pathlib import Path

import nbformat
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[1]
MIB = 2**20
NO_CODE_INSIDE = {".pt", ".pth", ".pkl", ".pickle", ".ckpt", ".npz", ".npy", ".h5", ".keras"}
NO_DATA = {".dcm", ".nii", ".gz", ".png", ".jpg", ".jpeg", ".tif", ".tiff", ".mic", ".zip", ".whl"}
TEXT = {".py", ".md", ".ipynb", ".yml", ".toml", ".txt", ".cff", ".bib", ".css", ".json", ""}


def files():
    """Files that git tracks or would track; without git, those outside ignored folders."""
    git = shutil.which("git")
    if git and (ROOT / ".git").exists():
        command = [git, "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
        answer = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        paths = [ROOT / name for name in answer.stdout.split("\0") if name]
    else:
        ignored = {".venv", "_build", "__pycache__", ".hypothesis", ".ruff_cache", ".pytest_cache"}
        paths = [p for p in ROOT.rglob("*") if not ignored & set(p.relative_to(ROOT).parts)]
    return [path for path in paths if path.is_file()]


FILES = files()
NOTEBOOKS = [path for path in FILES if path.suffix == ".ipynb"]


def name(path):
    return path.relative_to(ROOT).as_posix()


def test_there_is_something_to_look_at():
    assert len(FILES) > 40
    assert ROOT / "_toc.yml" in FILES


@pytest.mark.parametrize("path", NOTEBOOKS, ids=name)
def test_notebooks_are_clean(path):
    notebook = nbformat.read(path, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
        assert set(cell.metadata) <= {"tags"}
    assert notebook.metadata.kernelspec.name == "python3"
    assert set(notebook.metadata) <= {"kernelspec", "language_info", "book"}
    # a page that speaks of the others; see helpers.pages
    assert notebook.metadata.get("book", {"after": "all"}) == {"after": "all"}


def test_kinds_and_sizes_of_files():
    for path in FILES:
        assert path.suffix.lower() not in NO_CODE_INSIDE | NO_DATA, name(path)
        assert path.stat().st_size <= 16 * MIB, name(path)
    kept = [path for path in FILES if name(path).startswith("reference/")]
    assert sum(path.stat().st_size for path in kept) <= 80 * MIB


def test_each_weight_has_a_card():
    for path in FILES:
        if path.suffix == ".safetensors":
            cards = [path.with_suffix(suffix) for suffix in (".md", ".json", ".yml")]
            assert any(card in FILES for card in cards), f"{name(path)} has no card beside it"


def test_no_machine_paths_hosts_or_tokens():
    # the words are put together here, so that this file does not hold them itself
    hosts = ["py" + "pi.org", "python" + "hosted.org", "anaconda" + ".org", "registry." + "npmjs"]
    folders = ["/ro" + "ot/", "/wo" + "rk/", "/home/" + "ubuntu"]
    token = re.compile(r"gh[pousr]_[A-Za-z0-9]{30,}|hf_[A-Za-z0-9]{30,}|AKIA[0-9A-Z]{16}")
    for path in FILES:
        if path.suffix not in TEXT:
            continue
        text = path.read_text(encoding="utf-8")
        for word in [*hosts, *folders]:
            assert word not in text, f"{name(path)} holds {word}"
        assert not token.search(text), name(path)


def test_nothing_is_left_undone():
    words = ["TO" + "DO", "FIX" + "ME", "pytest.sk" + "ip", "xf" + "ail", "XX" + "X"]
    for path in FILES:
        if path.suffix in {".py", ".ipynb", ".md"}:
            text = path.read_text(encoding="utf-8")
            for word in words:
                assert not re.search(rf"\b{word}\b", text), f"{name(path)} holds {word}"


def test_files_stay_small_enough_to_read():
    for path in FILES:
        if path.suffix == ".py" and name(path).startswith("helpers/"):
            assert len(path.read_text(encoding="utf-8").splitlines()) <= 300, name(path)


def test_code_is_formatted_and_linted():
    ruff = shutil.which("ruff", path=str(ROOT / ".venv" / "bin")) or shutil.which("ruff")
    assert ruff, "ruff is one of the dev packages; run `make test`"
    for command in (["check"], ["format", "--check"]):
        answer = subprocess.run(
            [ruff, *command, "."],  # notebooks too
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr


def test_citation_names_the_version_of_the_package():
    from helpers import __version__

    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert citation["version"] == __version__
    assert {"title", "authors", "message", "cff-version"} <= citation.keys()


def test_workflow_and_ci_run_the_same_command():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "book.yml").read_text())
    steps = [step.get("run", "") for job in workflow["jobs"].values() for step in job["steps"]]
    assert ".ci/run" in steps
    assert "make book" in steps
    assert "make test" in (ROOT / ".ci" / "run").read_text()


def test_jobs_that_check_out_may_read_the_repository():
    workflow = yaml.safe_load((ROOT / ".github" / "workflows" / "book.yml").read_text())
    for job in workflow["jobs"].values():  # rights named by a job replace all of the workflow's
        assert job.get("permissions", workflow["permissions"])["contents"] == "read"
