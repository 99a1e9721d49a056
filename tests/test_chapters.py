"""Every notebook of the book runs in the profile `smoke`, quickly and quietly."""

import nbformat
import pytest
from conftest import ROOT

from helpers.book.execute import read_record
from helpers.book.project import Project, parameters
from helpers.runner import run_notebooks

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
BOOK = Project.at(ROOT)
NOTEBOOKS = [page.title for page in BOOK.notebooks()]
BUDGET_S, BUDGET_MIB = 60, 8192


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_runs_quickly_and_quietly(smoke_project, name):
    (chapter,) = run_notebooks(smoke_project, "smoke", only=name)
    record = chapter.record
    assert record.stderr == []
    assert record.wall_s <= BUDGET_S
    assert record.peak_mib <= BUDGET_MIB
    assert read_record(smoke_project.executed(chapter.page, "smoke")) == record
    notebook = nbformat.read(smoke_project.executed(chapter.page, "smoke"), as_version=4)
    ran = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    assert ran
    assert all(cell.execution_count for cell in ran)


@pytest.mark.parametrize("name", NOTEBOOKS)
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
