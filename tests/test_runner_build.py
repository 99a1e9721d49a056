"""Executed notebooks dressed and built: one small book through jupyter-book."""

import json
from types import SimpleNamespace

import nbformat
import pytest
from bs4 import BeautifulSoup

from helpers.book.build import BuildFailed
from helpers.book.dress import banner, figure_text, slider_text, table_text
from helpers.book.execute import ChapterFailed, Record
from helpers.book.mathjax import PACKAGE, PARTS, bring_mathjax

PROSE = (
    "See {numref}`fig-pixel` and {numref}`tab-pixel`.\n\n"
    "```{literalinclude} /helpers/small.py\n:pyobject: one\n```"
)


def soup(tiny, name="book/chapters/tiny"):
    path = tiny.project.build / "html" / f"{name}.html"
    return BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser")


def test_small_book(tiny, monkeypatch):
    from conftest import SHOW

    tiny.notebook(SHOW, prose=PROSE)
    text = tiny.make()
    html = tiny.project.build / "html"
    assert str(html / "index.html") in text
    assert "MiB at most" in text
    article = soup(tiny).article

    figure = article.find("figure", id="fig-pixel")
    assert figure.img["alt"] == 'A "pixel": # black'
    assert figure.find(class_="caption-number").text.strip() == "Figure 1"
    assert "One pixel, \\(x_{1} = 2\\), as in [One, 2020]" in figure.figcaption.text
    table = article.find("table", id="tab-pixel")
    assert "sortable" in table["class"]
    assert table.find(class_="caption-number").text.strip() == "Table 1"
    assert "\\(\\{a, b\\}\\) of One [2020]" in table.caption.text
    assert [cell.text for cell in table.tbody.find_all("td")] == ["1", "2"]
    assert article.find("a", href="#fig-pixel").text == "Figure 1"
    assert "def one():" in article.text  # literalinclude of the package's source
    assert "LabCaption" not in article.text
    assert "injected-parameters" not in str(article)
    box = article.find(class_="dropdown")
    assert "profile smoke" in box.text
    assert "3 images, fingerprint abababababab, licence CC0. A_B, 2020" in box.text
    assert "smoke run" in article.text
    assert "mybinder" not in str(soup(tiny))

    download = nbformat.read(html / "_sources" / "book" / "chapters" / "tiny.ipynb", 4)
    executed = tiny.project.executed(tiny.project.notebooks()[0], "smoke")
    assert download == nbformat.read(executed, 4)

    before = (html / "index.html").stat().st_mtime_ns
    assert "unchanged" in tiny.make()
    assert (html / "index.html").stat().st_mtime_ns == before

    tiny.write("book/index.md", "# Start\n\nSee {ref}`nowhere`.\n")
    with pytest.raises(BuildFailed, match=r"index\.md.*nowhere"):
        tiny.make()
    assert (html / "index.html").is_file()  # the site before stays

    monkeypatch.setenv("BOOK_REPOSITORY_URL", "https://github.com/ann/book")
    tiny.write("book/index.md", "# Start again\n\nRead {doc}`chapters/tiny`.\n")
    tiny.make(build_only=True)
    links = [link.get("href", "") for link in soup(tiny).find_all("a")]
    assert any(
        link.startswith("https://mybinder.org") and "book/chapters/tiny.ipynb" in link
        for link in links
    )
    assert "pip install git+https://github.com/ann/book" in soup(tiny).article.text


def test_build_wants_every_notebook(tiny):
    with pytest.raises(ChapterFailed, match="not been executed: tiny"):
        tiny.make(build_only=True)


def test_warnings_of_a_page_are_all_reported(tiny):
    tiny.notebook("1", prose="See {numref}`fig-none` and {cite:p}`nobody`.")
    with pytest.raises(BuildFailed) as caught:
        tiny.make()
    assert "fig-none" in str(caught.value)
    assert "nobody" in str(caught.value)
    assert str(tiny.project_root) not in str(caught.value)


def test_figure_and_table_directives():
    text = figure_text(
        {"name": "fig-a", "alt": "two\nlines", "caption": "~~~ in {cite:p}`one`"}, "a.png"
    )
    assert text.startswith("~~~~{figure} a.png\n")
    assert ':alt: "two lines"' in text
    words = {"name": "tab-a", "caption": "one\ntwo", "markdown": "| a |\n|---|"}
    text = table_text(words)
    assert text.startswith("~~~{table} one two\n:name:")
    assert ":class:" not in text
    assert ':class: "sortable"' in table_text({**words, "sortable": True})


def test_banner_escapes_and_merges():
    record = Record(
        key="",
        chapter="book/chapters/tiny",
        profile="full",
        parameters={"profile": "full", "epochs": 1000},
        wall_s=3723,
        peak_mib=2048,
        cells=3,
        device="NVIDIA H200, 16 CPU threads",
        versions={"numpy": "2.0"},
        date="2026-01-02",
    )
    note = {"name": "x", "source": "siar", "images": 2, "fingerprint": "c" * 64}
    note |= {"licence": "CC_BY", "citation": "$5", "preparation": "", "seed": 3}
    text = banner(record, [note, {**note, "seed": 4}])
    assert "profile full, 1:02:03" in text
    assert "`epochs = 1000`" in text
    assert text.count("**Data**") == 1
    assert r"CC\_BY. \$5" in text
    assert "**Seed** 3, 4" in text
    assert "2,048 MiB" in text
    assert "warning" not in text


def test_mathjax_travels_with_the_site(tmp_path, monkeypatch):
    source = tmp_path / "installed" / PACKAGE / "static" / "mathjax"
    for part in PARTS:
        file = source / part if part.endswith(".js") else source / part / "a.woff"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("x")
    package = SimpleNamespace(locate_file=lambda name: tmp_path / "installed" / name)
    monkeypatch.setattr("importlib.metadata.distribution", lambda name: package)
    config = {"sphinx": {"config": {"html_static_path": ["book/_static"]}}}
    assert bring_mathjax(tmp_path / "stage", config)
    settings = config["sphinx"]["config"]
    assert settings["html_static_path"] == ["book/_static", "_mathjax"]
    assert (tmp_path / "stage" / "_mathjax" / settings["mathjax_path"]).is_file()


def test_no_mathjax_package_leaves_the_settings(tmp_path, monkeypatch):
    monkeypatch.setattr("helpers.book.mathjax.PACKAGE", "no-such-package")
    config = {}
    assert not bring_mathjax(tmp_path, config)
    assert config == {}


def test_a_slider_is_a_figure_with_its_frames_beside_it():
    frames = [{"label": "0.1 bpp", "png": "AA"}, {"label": "</script> bpp", "png": "BB"}]
    words = {"name": "fig-a", "caption": "Two.", "alt": "a film", "width": "100%"}
    text = slider_text({**words, "start": 1, "frames": frames}, "a.png")
    assert text.startswith(figure_text(words, "a.png"))
    script = BeautifulSoup(text, "html.parser").find("script", class_="frames")
    assert text.count("</script>") == 1  # a label cannot end it
    found = json.loads(script.string)
    assert (found["figure"], found["start"], found["alt"]) == ("fig-a", 1, "a film")
    assert found["frames"][0] == {"label": "0.1 bpp", "src": "data:image/png;base64,AA"}
    assert found["frames"][1]["label"] == "</script> bpp"
