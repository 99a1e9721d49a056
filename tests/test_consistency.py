"""What holds for all pages together: no number is typed, a codec has one name and one look."""

import ast
import re

import nbformat
import pytest
from conftest import ROOT

from helpers.book import prose
from helpers.figures import style

BOOK = ROOT / "book"
PAGES = sorted([*BOOK.rglob("*.ipynb"), *BOOK.rglob("*.md")])
NOTEBOOKS = [path for path in PAGES if path.suffix == ".ipynb"]
COLOUR = re.compile(r"#[0-9A-Fa-f]{3}(?:[0-9A-Fa-f]{3})?|tab:\w+|C\d")
NEUTRAL = {"black", "white"}  # of lines and frames that stand for no codec
NETWORKS = {"AE", "VAE", "HiFiC"}  # the networks themselves, on the pages that are about them


@pytest.mark.parametrize("page", PAGES, ids=lambda path: path.stem)
def test_no_number_of_a_run_is_typed(page):
    found = prose.typed_numbers(page)
    assert not found, "\n".join(["glue, cite or mark as a constant:", *map(str, found)])


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("The codec reaches 36.98 dB here.", ["36.98 dB"]),
        ("It needs 0.53 bpp, or 1.2 bits per pixel.", ["0.53 bpp", "1.2 bits"]),
        ("Bytes fall by 12 % (or 7.5%).", ["12 %", "7.5%"]),
        ("The AUC is 0.83, the SSIM only 0.9 and the mean PSNR 31.", None),
        ("A ratio of about 40 : 1.", ["ratio of about 40"]),
        ("It takes 3 minutes, 250 ms and 12 KiB.", ["3 minutes", "250 ms", "12 KiB"]),
        ("Between 2 and 4 grey levels.", ["2 and 4 grey levels"]),
        ("| codec | 31.5 dB |\n|:--|--:|", ["31.5 dB"]),
        ("```{note}\nIt gains 3 dB.\n```", ["3 dB"]),
        (
            "````{solution} ex\n:class: dropdown\n\n```python\n3 dB\n```\n\nIt is 3 dB.\n````",
            ["3 dB"],
        ),
        ("One {cite:p}`a2020`. It gains 3 dB.", ["3 dB"]),
        ("It gains 13 dB. <!-- constants: 3 dB -->", ["13 dB", "3 dB"]),
        ("It takes 110 %.", ["110 %"]),
        ("With 8 bits it takes 28 bits.", ["28 bits"]),
    ],
)
def test_typed_numbers_are_found(text, words):
    found = [finding.words for finding in prose.in_text(text)]
    assert found == words if words else len(found) == 3, found


@pytest.mark.parametrize(
    "text",
    [
        "The codec reaches {glue:text}`cae-psnr:.2f` dB.",
        "They report 36.98 dB and 12 % {cite:p}`baiee2024`.",
        "Call `rate(0.5) # 0.5 bpp` or\n\n```python\nx = 3  # 3 dB\n```\n",
        "With $k = 4$ dB, or\n\n$$\nx = 6.02 \\text{ dB}\n$$ (eq-x)\n",
        "```{math}\n6 dB\n```\n```{figure} x.png\n:width: 60 %\n\nA picture.\n```",
        "Pixels of 8 bits and words of 16 bits, means with 95 % intervals.",
        "It is 62 dB, as given. <!-- constants: 62 dB -->",
        "Nothing is lost: 100 % of the pixels. Three of 24 slices, in 2021, on page 4.",
    ],
)
def test_what_is_no_result_is_left_alone(text):
    assert not list(prose.in_text(text))


def test_words_of_code_are_read_too():
    source = """
# constants: 64 steps
show(x, caption=f"A mean of {mean:.1f} dB over 3 dB, with 64 steps.", name="fig-9 dB")
label = "31 dB"; other = "only 5 %"
"""
    found = {finding.words for finding in prose.in_text(prose.words_of_code(source))}
    assert found == {"3 dB", "9 dB", "31 dB", "5 %"}
    assert not list(prose.in_text(prose.words_of_code('x = {"dB": f"{3 + y:.1f} dB at {9} %"}')))


def code(path):
    """The parsed code cells of a notebook, each with its name."""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type == "code":
            yield f"{path.name}, cell {cell.id}", ast.parse(cell.source)


def typed_looks(tree):
    """Colours and markers that code gives by hand, where the book's style has to know them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            if COLOUR.fullmatch(node.value):
                yield node.value
        elif isinstance(node, ast.keyword) and isinstance(node.value, ast.Constant):
            value = node.value.value
            if node.arg in {"color", "c", "ecolor", "mec", "mfc"} and value not in NEUTRAL:
                yield f"{node.arg}={value}"
            elif node.arg == "marker" and isinstance(value, str):
                yield f"marker={value}"


def typed_names(tree):
    """Names of codecs that are written almost, but not quite, as the book writes them."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            name = node.value.strip(" ,;:()^$-")
            if not name or name in NETWORKS or name in style.names():
                continue
            if style.known(name) and name != style.label(name):
                yield f"{name} for {style.label(name)}"


def found_in_code(what):
    """One line for each finding in each code cell."""
    return [
        f"{place}: {found}" for path in NOTEBOOKS for place, t in code(path) for found in what(t)
    ]


def test_codecs_have_the_colours_of_the_book():
    wrong = [
        f"{place}: {look}" for p in NOTEBOOKS for place, t in code(p) for look in typed_looks(t)
    ]
    assert not wrong, "\n".join(["take them from helpers.figures.style:", *wrong])


def test_codecs_have_the_names_of_the_book():
    wrong = [
        f"{place}: {name}" for p in NOTEBOOKS for place, t in code(p) for name in typed_names(t)
    ]
    assert not wrong, "\n".join(["write them as helpers.figures.label does:", *wrong])


def test_typed_looks_and_names_are_found():
    tree = ast.parse("plot(x, color='red', marker='o', label='JPEG2000'); c = '#ff0000'; d = 'C1'")
    assert sorted(typed_looks(tree)) == ["#ff0000", "C1", "color=red", "marker=o"]
    assert list(typed_names(tree)) == ["JPEG2000 for JPEG 2000"]
    fine = ast.parse("plot(x, color='black', **style.look('jpeg2000'), label='JPEG 2000')")
    assert not [*typed_looks(fine), *typed_names(fine)]


def test_every_codec_has_a_look_of_its_own():
    looks = [tuple(sorted(style.look(name).items())) for name in style.names()]
    titles = [style.label(name) for name in style.names()]
    assert len(set(looks)) == len(looks)
    assert len(set(titles)) == len(titles)
    for name in style.names():
        assert style.known(name)
        assert style.look(style.label(name)) == style.look(name)


def test_prose_writes_codecs_as_the_book_does():
    """JPEG-2000, Jpeg XL, JPEG LS and the like."""
    wrong = re.compile(r"\b(?:JPEG-2000|JPEG2000|JPEG2K|J2K|JPEG-XL|JPEGXL|JPEG LS|JPEGLS|Jpeg)\b")
    found = []
    for path in PAGES:
        if path.suffix == ".ipynb":
            cells = nbformat.read(path, as_version=4).cells
            texts = [cell.source for cell in cells if cell.cell_type == "markdown"]
        else:
            texts = [path.read_text(encoding="utf-8")]
        found += [
            f"{path.name}: {m[0]}" for text in texts for m in wrong.finditer(prose.plain(text))
        ]
    assert not found, "\n".join(found)
