"""What the front page says and shows."""

import json

import nbformat
import numpy as np
import pytest
from conftest import ROOT
from matplotlib import pyplot

from helpers import publish
from helpers.book.cards import cards_text
from helpers.book.project import Project
from helpers.errors import DataError
from helpers.experiments import results
from helpers.experiments.front import numbers, pictures

DARK, BRIGHT = 20_000, 40_000


def test_numbers_are_those_of_the_reference_runs():
    raw = json.loads((results.FOLDER / "lossless-delta-chest-xray.json").read_text())
    lossless = [
        row["mean"]
        for row in raw["tables"]["streams"]
        if (row["source"], row["measure"], row["delta"]) == (numbers.FILMS, "bpp", "exact")
    ]
    assert numbers.films()["ae-delta"] == min(lossless)
    raw = json.loads((results.FOLDER / "beyond-the-papers.json").read_text())
    one = [row for row in raw["tables"]["shares"] if row["set"] == "NIH, 256²"]
    share = sum(row["learned"] for row in one) / sum(row["jpegxl"] for row in one)
    assert numbers.learned_lossless()["NIH, 256²"] == pytest.approx(100 * share)


def test_an_exact_decoder_has_an_infinite_psnr():
    table = numbers.brains()
    exact = table["exact"] == 1
    assert exact.any()
    assert np.isinf(table.loc[exact, "psnr"]).all()
    assert np.isfinite(table.loc[~exact, "psnr"]).all()


def test_numbers_have_one_value_for_each_name():
    for table in (numbers.brains(), numbers.breasts(), numbers.films(), numbers.mammograms()):
        assert table.index.is_unique
        assert not table.isna().to_numpy().any()
    lesions = numbers.lesions()
    assert lesions.index.is_unique
    assert (lesions["lost"] <= lesions["seen"]).all()
    assert numbers.learned_lossy().index.is_unique
    apart = numbers.out_of_reach()
    missing = numbers.learned_lossy()["jpeg2000"].xs("hyper", level="codec").isna()
    assert set(apart.index) == set(missing.index[missing])
    assert (apart > 0).all(axis=None)


def test_a_missing_reference_run_is_named(monkeypatch, tmp_path):
    monkeypatch.setattr(results, "FOLDER", tmp_path)
    with pytest.raises(DataError, match="python -m helpers reference cae-brotli-mri"):
        numbers.brains()


def test_specks_stand_in_the_tissue_and_not_in_what_is_enlarged():
    film = np.full((1024, 1024), DARK, np.uint16)
    film[300:700, 300:700] = BRIGHT
    figure = pictures.lesion(film, 0)
    before, after = (axes.images[0].get_array() for axes in figure.axes)
    assert before.shape == after.shape
    assert before.max() > 1.05 * BRIGHT
    assert after.max() - BRIGHT < 0.5 * (before.max() - BRIGHT)
    pyplot.close(figure)


def test_the_front_page_shows_no_code_and_speaks_of_all_pages():
    book = Project.at(ROOT)
    front = book.pages()[0]
    assert front.name == "book/index"
    assert front.after_all
    cells = nbformat.read(front.path, as_version=4).cells
    source = [cell for cell in cells if cell.cell_type == "code"]
    assert source
    assert all("remove-input" in cell.metadata.get("tags", []) for cell in source)
    words = "\n".join(cell.source for cell in source)
    for page in book.notebooks():
        if page.name != front.name:
            assert f'"{page.title}": ' in words, f"the map says nothing of {page.title}"


def card(**changes):
    words = {"title": "A", "text": "Words.", "alt": 'A "line"'} | changes
    return publish.Card(figure=pyplot.figure(figsize=(1, 1)), **words)


def test_cards_show_their_pictures_with_alt_text(capsys):
    publish.cards([card(), card(title="B")], "cards-two")
    assert capsys.readouterr().out == "A; B\n"
    book = {
        "name": "cards-two",
        "cards": [{"title": "A", "text": "Words.", "alt": 'A "line"', "png": "UE5H"}],
    }
    text, files = cards_text(book, "_figures/index")
    assert files == {"_figures/index/cards-two-0.png": "UE5H"}
    assert ":img-top: _figures/index/cards-two-0.png" in text
    assert r':img-alt: "A \"line\""' in text


@pytest.mark.parametrize("lack", ["title", "text", "alt"])
def test_a_card_needs_all_its_words(lack):
    with pytest.raises(ValueError, match="cards-two"):
        publish.cards([card(**{lack: ""})], "cards-two")
    pyplot.close("all")
