"""Every notebook of the book runs in the profile `smoke`, quietly and in 8 GB."""

import nbformat
import papermill
import pytest
from conftest import ROOT

from helpers import pages, papers
from helpers.book.execute import read_record
from helpers.book.project import Project, parameters
from helpers.runner import run_notebooks
from helpers.verdicts import NOT, NOT_COMPARABLE, PARTLY, REPRODUCED

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
BOOK = Project.at(ROOT)
NOTEBOOKS = [page.title for page in BOOK.notebooks()]
FRONT = "index"  # the front page teaches nothing by itself
BUDGET_MIB = 8192
# The profile `full` is for a GPU; these values make its cells run small.
SMALL_FULL = {
    "cae-brotli-mri": {
        "epochs": 10,
        "size": 128,
        "test_slices": 2,
        "train_slices": 2,
        "rates": [0.6, 1.0, 1.5, 2.0],
        "live_size": 64,
        "live_minutes": 0.02,
    },
    "ae-vae-cbis-ddsm": {
        "side": 256,
        "live_images": 6,
        "live_minutes": 0.01,
        "full_epochs": 1,
        "full_images": 6,
    },
    "lossless-delta-chest-xray": {
        "test_films": 2,
        "dense_films": 4,
        "dense_epochs": 1,
        "full_epochs": 1,
        "full_films": 8,
    },
    "ldm-mammography": {
        "source": "auto",
        "diagnosis": "",
        "side": 128,
        "patches": 30,
        "measured": 1,
        "counted": 1,
        "classified": 10,
        "epochs": 1,
        "trials": 1,
        "download": False,
        "full_epochs": 1,
        "full_films": 4,
    },
}


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_runs_quietly_and_in_little_memory(smoke_project, name):
    (chapter,) = run_notebooks(smoke_project, "smoke", only=name)
    record = chapter.record
    assert record.stderr == []
    assert record.peak_mib <= BUDGET_MIB
    assert read_record(smoke_project.executed(chapter.page, "smoke")) == record
    notebook = nbformat.read(smoke_project.executed(chapter.page, "smoke"), as_version=4)
    ran = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    assert ran
    assert all(cell.execution_count for cell in ran)


def test_every_claim_of_the_papers_is_judged(smoke_project):
    for paper in papers.names():
        run_notebooks(smoke_project, "smoke", only=paper)
    found = pages.verdicts(smoke_project.executed_folder("smoke"))
    assert set(found["verdict"]) <= {REPRODUCED, PARTLY, NOT, NOT_COMPARABLE}


@pytest.mark.parametrize("name", SMALL_FULL)
def test_the_cells_of_the_full_profile_run(name, tmp_path, monkeypatch):
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tmp_path / "weights"))
    monkeypatch.delenv("MEDCODEC_DATA", raising=False)
    (page,) = BOOK.notebooks(name)
    values = {"profile": "full", **BOOK.overrides(page, "full"), **SMALL_FULL[name]}
    run = papermill.execute_notebook(
        page.path,
        tmp_path / "out.ipynb",
        parameters=values,
        kernel_name="python3",
        progress_bar=False,
        cwd=tmp_path,
    )
    streams = [out for cell in run.cells for out in cell.get("outputs", []) if out.get("name")]
    assert [out.text for out in streams if out.name == "stderr"] == []
    assert list((tmp_path / "weights").glob("*.safetensors"))  # it trained its own


@pytest.mark.parametrize("name", [name for name in NOTEBOOKS if name != FRONT])
def test_anatomy(name):
    (page,) = BOOK.notebooks(name)
    cells = nbformat.read(page.path, as_version=4).cells
    assert cells[0].cell_type == "markdown"
    assert cells[0].source.startswith("# ")
    known = parameters(page.path)
    assert known["profile"] == "laptop"
    assert isinstance(known["seed"], int)
    tagged = [cell for cell in cells if "parameters" in cell.metadata.get("tags", [])]
    assert len(tagged) == 1
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    assert text.count("{exercise}") >= 4
    assert text.count("{exercise}") == text.count("{solution}")
    assert "take-away" in text.lower()
    assert "clinical caution" in text.lower()


@pytest.mark.parametrize("profile", ["smoke", "full"])
def test_profiles_change_known_parameters_only(profile):
    for page in BOOK.notebooks():
        known = parameters(page.path)
        for name, value in BOOK.overrides(page, profile).items():
            laptop = known[name]
            number = isinstance(laptop, int | float) and isinstance(value, int | float)
            assert number or laptop is None or value is None or type(laptop) is type(value), name
