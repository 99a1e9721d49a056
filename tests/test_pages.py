"""What pages read of each other: made notebooks, made verdicts."""

import json
import math

import nbformat
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from helpers import pages, publish
from helpers.book.execute import record_path
from helpers.verdicts import holds, verdicts, within

CLAIMS = """
tiny:
  cite: one
  claims:
    - {id: psnr, place: Table 4, what: PSNR, value: 36.98, unit: dB}
    - {id: exact, place: Table 5, what: PSNR when lossless, value: null, unit: dB}
    - {id: words, place: Section 5, what: better than JPEG 2000, value: null}
"""
RECORD = {
    "key": "k",
    "chapter": "book/chapters/tiny",
    "profile": "laptop",
    "parameters": {},
    "wall_s": 12.5,
    "peak_mib": 300,
    "cells": 4,
    "device": "2 CPU threads",
    "versions": {},
    "date": "2026-01-02",
}


@pytest.fixture
def claims(tmp_path):
    path = tmp_path / "papers.yml"
    path.write_text(CLAIMS)
    return path


@pytest.fixture
def executed(tmp_path, claims, monkeypatch):
    """Folder of an executed notebook whose one table carries verdicts; says so itself."""
    judged = verdicts(
        "tiny",
        {
            "psnr": within(absolute=1, reason="other slices"),
            "exact": holds(True),
            "words": holds(False, "it is not"),
        },
        run={"psnr": 30.0, "exact": math.inf},
        reference={"psnr": 36.5},
        path=claims,
    )
    return _executed(tmp_path / "notebooks", [judged], monkeypatch)


def _executed(folder, tables, monkeypatch):
    shown = []
    monkeypatch.setattr(publish, "_show", lambda data, book: shown.append((data, book)))
    for number, rows in enumerate(tables):
        frame = pd.DataFrame({"Claim": ["one"]})
        publish.table(frame, f"tab-{number}", "Verdicts.", rows=rows)
    outputs = [
        new_output("display_data", data=data, metadata={"book": book}) for data, book in shown
    ]
    path = folder / "book" / "chapters" / "tiny.ipynb"
    path.parent.mkdir(parents=True)
    cell = new_code_cell("1", id="one", outputs=outputs)
    nbformat.write(new_notebook(cells=[cell]), path)
    record_path(path).write_text(json.dumps(RECORD))
    return folder


def test_verdicts_travel_through_the_notebook(executed, claims):
    found = pages.verdicts(executed, claims).set_index("id")
    assert list(found["paper"].unique()) == ["tiny"]
    assert list(found["verdict"]) == ["reproduced", "reproduced", "not reproduced"]
    row = found.loc["psnr"]
    assert (row["claimed"], row["reference"], row["run"]) == (36.98, 36.5, 30.0)
    assert (row["place"], row["unit"], row["reason"]) == ("Table 4", "dB", "other slices")
    assert found.loc["exact", "run"] == math.inf
    assert math.isnan(found.loc["exact", "claimed"])
    assert math.isnan(found.loc["words", "run"])


def test_rows_change_nothing_on_the_page(executed):
    text = (executed / "book" / "chapters" / "tiny.ipynb").read_text()
    outputs = nbformat.reads(text, as_version=4).cells[0].outputs
    assert "36.98" not in json.dumps([output.data for output in outputs])
    assert "NaN" not in text
    assert outputs[0].metadata["book"]["markdown"] == "| Claim |\n| :--- |\n| one |"


def test_what_has_not_run_says_what_to_do(tmp_path, claims):
    found = pages.verdicts(tmp_path / "nowhere", claims)
    assert list(found["verdict"]) == [pages.UNKNOWN] * 3
    assert found["run"].isna().all()
    assert found["reason"].str.contains("execute the chapter tiny first").all()


def test_a_run_without_its_record_does_not_count(executed, claims):
    record_path(executed / "book" / "chapters" / "tiny.ipynb").unlink()
    assert list(pages.verdicts(executed, claims)["verdict"]) == [pages.UNKNOWN] * 3


def test_verdicts_that_do_not_fit_the_claims(executed, claims):
    claims.write_text(CLAIMS.replace("id: words", "id: letters"))
    with pytest.raises(ValueError, match=r"tiny judges words.*execute the chapter again"):
        pages.verdicts(executed, claims)


def test_a_claim_is_judged_once(tmp_path, claims, monkeypatch):
    rules = {"psnr": within(absolute=1)}
    judged = verdicts("tiny", rules, {"psnr": 37.0}, only=["psnr"], path=claims)
    folder = _executed(tmp_path / "notebooks", [judged, judged], monkeypatch)
    with pytest.raises(ValueError, match="psnr twice"):
        pages.verdicts(folder, claims)


def test_read(tiny, executed):
    prose = (
        "Some five words\nstand here.\n\n```{exercise} One\n:label: one\nAdd.\n```\n\n"
        "```{literalinclude} /helpers/small.py\n:pyobject: one\n```"
    )
    tiny.notebook("1", prose=prose)
    (row,) = pages.read(executed, tiny.project_root).to_dict("records")
    assert (row["name"], row["title"]) == ("book/chapters/tiny", "Tiny")
    assert row["exercises"] == 1
    assert row["words"] == 1 + 5 + 2  # title, sentence, exercise
    assert (row["profile"], row["wall_s"], row["peak_mib"]) == ("laptop", 12.5, 300)
    (row,) = pages.read(executed / "elsewhere", tiny.project_root).to_dict("records")
    assert row["profile"] == ""
    assert math.isnan(row["wall_s"])
    assert row["words"] == 8


def test_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("BOOK_PAGES", str(tmp_path))
    assert pages.folder() == tmp_path
    monkeypatch.delenv("BOOK_PAGES")
    assert pages.folder() == pages.ROOT / "_build" / "notebooks" / "laptop"


def test_every_paper_of_the_book_is_read(tmp_path):
    found = pages.verdicts(tmp_path)
    assert set(found["paper"]) == set(pages.papers.names())
    assert len(found) == sum(len(pages.papers.load(name)) for name in pages.papers.names())
    assert not found.duplicated(["paper", "id"]).any()
