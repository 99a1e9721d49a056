import base64
import io
import math

import imagecodecs
import nbformat
import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot

from helpers import publish


def run_cells(*sources):
    """Run cells in a real kernel and return the outputs of the last one."""
    from nbclient import NotebookClient

    book = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in sources])
    NotebookClient(book, timeout=60, kernel_name="python3").execute()
    return book.cells[-1].outputs


@pytest.fixture(scope="module")
def outputs():
    return run_cells(
        "import numpy as np, pandas as pd\nfrom matplotlib import pyplot\n"
        "from helpers import publish",
        "fig, axes = pyplot.subplots(); axes.plot([1, 2])\n"
        "publish.figure(fig, 'fig-line', 'A *line*, $x$.', 'a rising line', width='60%')\n"
        "publish.table(pd.DataFrame({'codec': ['a|b'], 'PSNR': [31.234]}), 'tab-one', 'One.',\n"
        "              formats={'PSNR': '{:.1f}'})\n"
        "publish.glue('m-psnr', np.float32(31.25))",
    )


def test_a_figure_carries_what_the_runner_needs(outputs):
    shown = outputs[0]
    assert shown["metadata"]["book"] == {
        "kind": "figure",
        "name": "fig-line",
        "caption": "A *line*, $x$.",
        "alt": "a rising line",
        "width": "60%",
    }
    pixels = imagecodecs.png_decode(base64.b64decode(shown["data"]["image/png"]))
    assert pixels.ndim == 3 and min(pixels.shape[:2]) > 300
    assert shown["data"]["text/plain"] == "a rising line"


def test_the_caption_follows_for_readers_in_the_lab(outputs):
    for after, text in ((1, "A *line*, $x$."), (3, "One.")):
        assert outputs[after]["metadata"]["book"] == {"kind": "lab"}
        assert outputs[after]["data"]["text/markdown"] == text


def test_a_table_is_pipes_for_the_page_and_html_for_the_lab(outputs):
    shown = outputs[2]
    book = shown["metadata"]["book"]
    assert (book["kind"], book["name"], book["caption"]) == ("table", "tab-one", "One.")
    assert book["markdown"].splitlines() == [
        "| codec | PSNR |",
        "| :--- | ---: |",
        r"| a\|b | 31.2 |",
    ]
    assert "<table" in shown["data"]["text/html"] and "31.2" in shown["data"]["text/html"]


def test_glued_numbers_are_plain_and_hidden(outputs):
    shown = outputs[4]
    assert shown["metadata"]["scrapbook"]["name"] == "m-psnr"
    assert all(mime.startswith("application/papermill.record/") for mime in shown["data"])
    assert shown["data"]["application/papermill.record/text/plain"] == "31.25"
    assert len(outputs) == 5


@pytest.fixture
def shown(monkeypatch):
    kept = []
    monkeypatch.setattr(publish, "_show", lambda data, book: kept.append((data, book)))
    return kept


def test_cells_read_as_a_person_would_write_them(shown):
    frame = pd.DataFrame(
        {
            "n": [12345, 7],
            "x": [math.nan, math.inf],
            "sure": [True, False],
            "text": ["two\nlines", None],
        }
    )
    publish.table(frame, "tab-cells", "Cells.")
    assert shown[0][1]["markdown"].splitlines()[1:] == [
        "| ---: | ---: | :--- | :--- |",
        "| 12,345 | – | yes | two lines |",
        "| 7 | ∞ | no | – |",
    ]


def lines(count):
    return {f"{k} bpp": pyplot.subplots(figsize=(1, 1))[0] for k in range(count)}


def test_a_slider_carries_all_its_frames(shown):
    publish.slider(lines(3), "fig-slide", "Three.", "a line", start=1)
    data, book = shown[0]
    assert book["kind"] == "slider" and book["start"] == 1
    assert [frame["label"] for frame in book["frames"]] == ["0 bpp", "1 bpp", "2 bpp"]
    assert data["image/png"] == book["frames"][1]["png"]
    assert not pyplot.get_fignums()
    for start in (-1, 3):
        with pytest.raises(ValueError, match="has 3 figures, none has number"):
            publish.slider(lines(3), "fig-slide", "Three.", "a line", start=start)
    with pytest.raises(ValueError, match="no alt text"):
        publish.slider(lines(3), "fig-slide", "Three.", " ", start=0)
    pyplot.close("all")


def test_a_slider_with_a_choice(shown):
    figs = {(codec, rate): fig for codec in "ab" for rate, fig in lines(2).items()}
    publish.slider(figs, "fig-slide", "Four.", "a line", start=2, choose="Codec")
    book = shown[0][1]
    assert book["choose"] == "Codec"
    found = [(frame["choice"], frame["label"]) for frame in book["frames"]]
    assert found == [("a", "0 bpp"), ("a", "1 bpp"), ("b", "0 bpp"), ("b", "1 bpp")]


def test_what_a_table_asks_of_the_page(shown):
    frame = pd.DataFrame({"x": [1.0]})
    publish.table(frame, "tab-still", "Still.")
    rows = pd.DataFrame({"id": ["one", "two"], "value": [math.nan, math.inf], "n": [1, 2]})
    publish.table(frame, "tab-sorted", "Sorted.", sortable=True, rows=rows)
    books = [book for _, book in shown if book["kind"] == "table"]
    assert not {"sortable", "rows"} & set(books[0])
    assert books[1]["sortable"]
    assert books[1]["rows"] == [
        {"id": "one", "value": None, "n": 1},
        {"id": "two", "value": "inf", "n": 2},
    ]


def test_the_index_can_be_a_column(shown):
    frame = pd.DataFrame({"x": [1.0]}, index=pd.Index(["row"], name="who"))
    publish.table(frame, "tab-index", "Index.", index=True)
    assert shown[0][1]["markdown"].splitlines()[::2] == ["| who | x |", "| row | 1.00 |"]


def test_equal_figures_are_equal_files_and_are_closed(shown):
    for _ in range(2):
        fig, axes = pyplot.subplots()
        axes.imshow(np.arange(4).reshape(2, 2))
        publish.figure(fig, "fig-same", "Same.", "the same")
        assert not pyplot.fignum_exists(fig.number)
    first, second = (data["image/png"] for data, book in shown if book["kind"] == "figure")
    assert first == second
    assert io.BytesIO(base64.b64decode(first)).read(4) == b"\x89PNG"


@pytest.mark.parametrize(
    ("name", "caption", "alt", "says"),
    [
        ("line", "C.", "alt", "must begin with 'fig-'"),
        ("fig-", "C.", "alt", "must begin with 'fig-'"),
        ("fig-line", " ", "alt", "no caption"),
        ("fig-line", "C.", "", "no alt text"),
    ],
)
def test_a_figure_without_its_words_is_refused(shown, name, caption, alt, says):
    fig, _ = pyplot.subplots()
    with pytest.raises(ValueError, match=says):
        publish.figure(fig, name, caption, alt)
    pyplot.close(fig)
    assert not shown


def test_a_table_without_its_words_or_with_a_stray_format_is_refused(shown):
    frame = pd.DataFrame({"x": [1]})
    with pytest.raises(ValueError, match="must begin with 'tab-'"):
        publish.table(frame, "fig-x", "C.")
    with pytest.raises(ValueError, match=r"no column \['y'\]"):
        publish.table(frame, "tab-x", "C.", formats={"y": "{}"})
    assert not shown


def test_only_numbers_and_texts_are_glued():
    with pytest.raises(ValueError, match="not a list"):
        publish.glue("key", [1, 2])
    with pytest.raises(ValueError, match="not a ndarray"):
        publish.glue("key", np.zeros(2))
