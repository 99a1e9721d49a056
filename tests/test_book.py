"""The site built from the chapters that `test_chapters` has executed."""

import getpass
import re
from pathlib import Path
from urllib.parse import unquote, urlsplit

import nbformat
import pytest
from bs4 import BeautifulSoup
from conftest import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def articles(site, smoke_project):
    """Page name to its parsed article."""
    return {
        page.name: BeautifulSoup(
            (site / f"{page.name}.html").read_text(encoding="utf-8"), "html.parser"
        ).article
        for page in smoke_project.pages()
    }


def test_index_leads_to_the_first_page(site):
    target = re.search(r"url=([^\"]+)", (site / "index.html").read_text()).group(1)
    assert (site / target).is_file()
    assert (site / "search.html").is_file()


def test_figures_have_number_caption_and_alt(articles):
    figures = [figure for article in articles.values() for figure in article.find_all("figure")]
    assert figures
    for figure in figures:
        assert figure.find(class_="caption-number").text.startswith("Figure")
        assert figure.find(class_="caption-text").text.strip(), figure["id"]
        assert len(figure.img["alt"]) > 15, figure["id"]


def test_no_picture_without_alt_text(articles):
    for name, article in articles.items():
        for image in article.find_all("img"):
            assert image.get("alt"), f"{name}: {image}"


def test_tables_of_results_have_number_and_caption(articles, smoke_project):
    tables = [
        table for article in articles.values() for table in article.find_all("table", id=True)
    ]
    assert tables
    for table in tables:
        assert table.find(class_="caption-number").text.startswith("Table")
        assert table.find(class_="caption-text").text.strip(), table["id"]


def test_solutions_are_folded(articles):
    solutions = [s for article in articles.values() for s in article.select("div.solution")]
    assert solutions
    assert all("dropdown" in solution["class"] for solution in solutions)


def test_every_notebook_says_how_it_was_made(articles, smoke_project):
    for page in smoke_project.notebooks():
        boxes = articles[page.name].select("div.admonition.dropdown")
        assert any("profile smoke" in box.text for box in boxes), page.name
        assert "fingerprint" in articles[page.name].text, page.name


def test_links_inside_the_site_arrive(site, smoke_project):
    for page in smoke_project.pages():
        path = site / f"{page.name}.html"
        soup = BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")
        for tag, attribute in [("a", "href"), ("img", "src"), ("script", "src"), ("link", "href")]:
            for element in soup.find_all(tag, **{attribute: True}):
                parts = urlsplit(element[attribute])
                if parts.scheme or parts.netloc or not parts.path:
                    continue
                target = path.parent / unquote(parts.path)
                assert target.exists(), f"{page.name}: {element[attribute]}"


def test_no_launch_buttons_without_an_address(site, smoke_project):
    for page in smoke_project.notebooks():
        text = (site / f"{page.name}.html").read_text(encoding="utf-8")
        assert "mybinder.org" not in text
        assert "colab.research" not in text


def test_download_is_the_notebook_as_it_ran(site, smoke_project):
    for page in smoke_project.notebooks():
        download = nbformat.read(site / "_sources" / f"{page.name}.ipynb", as_version=4)
        executed = nbformat.read(smoke_project.executed(page, "smoke"), as_version=4)
        assert download == executed
        nbformat.validate(download)


def test_no_machine_path_or_user_name(site, smoke_project):
    # "root" is an English word that the prose may use; other names are looked for
    names = {getpass.getuser(), Path.home().name} - {"root", "runner", "user", "home"}
    words = {str(ROOT), str(smoke_project.build), str(Path.home()) + "/", "ipykernel_", *names}
    for path in [*site.rglob("*.html"), *site.rglob("*.ipynb"), site / "searchindex.js"]:
        text = path.read_text(encoding="utf-8")
        for word in words:
            assert word not in text, f"{path.name} holds {word}"
