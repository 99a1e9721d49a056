"""The built book as a reader meets it: in a browser, with a keyboard, with a screen reader."""

import os
from urllib.parse import unquote, urldefrag

import browser
import pytest
from conftest import ROOT

from helpers.book import dress


def nowhere():
    """Whether the machine has no browser; CI has to have one."""
    return not os.environ.get("CI") and browser.find() is None


pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(
        "nowhere()",
        reason="there is no Chromium on this machine and Playwright could not install one",
    ),
]


@pytest.fixture(scope="module")
def chromium():
    program = browser.find()
    assert program, "CI has to test the book in a browser: install the package chromium"
    with browser.opened(program) as running:
        yield running


@pytest.fixture(scope="module")
def address(site):
    with browser.served(site) as at:
        yield at


@pytest.fixture(scope="module")
def visits(site, chromium, address):
    """What was seen on each page, by its path."""
    paths = [path.relative_to(site).as_posix() for path in sorted(site.rglob("*.html"))]
    return {
        name: browser.visit(chromium, address, name)
        for name in paths
        if name != "index.html" and not name.startswith("_static/")  # the first leads elsewhere
    }


@pytest.fixture
def page(chromium):
    with chromium.new_context() as context:
        page = context.new_page()
        yield page


def listed(visits, what):
    """One line for each finding on each page."""
    return [f"{name}: {found}" for name, seen in visits.items() for found in what(seen)]


def complain(lines):
    assert not lines, "\n".join(["", *lines])


def test_every_page_was_visited(visits, smoke_project):
    pages = {f"{page.name}.html" for page in smoke_project.pages()}
    assert pages | {"search.html"} <= set(visits)


def test_no_error_in_the_console(visits):
    complain(listed(visits, lambda seen: seen.errors))


def test_every_image_arrives_and_has_alt_text(visits):
    complain(
        listed(visits, lambda seen: [f"{src} has no alt" for src, alt, _ in seen.images if not alt])
    )
    complain(
        listed(visits, lambda seen: [f"{src} is not there" for src, _, w in seen.images if not w])
    )
    assert any(seen.images for seen in visits.values())


def test_axe_finds_nothing_serious(visits):
    complain(listed(visits, lambda seen: seen.violations))


def test_sliders_move_by_keyboard(visits):
    complain(listed(visits, lambda seen: seen.stuck))
    assert any(seen.sliders for seen in visits.values())


def test_pages_fit_on_a_phone(visits):
    complain(listed(visits, lambda seen: seen.wide))


def test_the_dark_theme_changes_no_picture(visits):
    complain(listed(visits, lambda seen: seen.changed))


def test_no_link_inside_the_book_is_dead(visits, site, address):
    def dead(seen):
        for link in seen.links:
            if not link.startswith(address):
                continue
            there, fragment = urldefrag(link)
            target = unquote(there.removeprefix(address)).partition("?")[0] or "index.html"
            if not (site / target).is_file():
                yield f"{target} is not there"
            elif fragment and target in visits and unquote(fragment) not in visits[target].names:
                yield f"{target} has no place #{fragment}"

    complain(listed(visits, dead))


def test_the_address_leads_to_the_first_page(page, address):
    page.goto(address)
    page.wait_for_url("**/book/index.html")
    assert page.locator("article h1").count() == 1


def test_search_finds_spiht(page, address):
    errors = []
    browser.listen(page, errors)
    page.goto(f"{address}book/index.html")
    page.keyboard.press("Control+k")
    page.keyboard.type("SPIHT")
    page.keyboard.press("Enter")
    results = page.locator("#search-results li a")
    results.first.wait_for()
    results.first.click()
    page.wait_for_url("**/book/**")
    assert "SPIHT" in page.locator("article").inner_text()
    complain(errors)


SCRIPT = (ROOT / "book" / "_static" / "book.js").read_text(encoding="utf-8")
STYLE = (ROOT / "book" / "_static" / "book.css").read_text(encoding="utf-8")
BOARD = """<table class="sortable table"><caption>Board</caption>
<thead><tr><th class="head"><p>Codec</p></th><th class="head"><p>Saved (%)</p></th></tr></thead>
<tbody><tr><td>JPEG</td><td>39.2 [30, 1,000]</td></tr><tr><td>AVIF</td><td>-8.5 [-9, -7]</td></tr>
<tr><td>AE</td><td>–</td></tr><tr><td>JPEG XL</td><td>1,200</td></tr></tbody></table>"""
PIXELS = "data:image/gif;base64,R0lGODlhAQABAIAAAAAAAP///yH5BAEAAAAALAAAAAABAAEAAAIBRAA7"


def with_parts(page, body):
    """A page of the book's own script and style, and nothing else."""
    page.set_content(
        f"""<!DOCTYPE html><html lang="en" data-theme="light"><head><title>Parts</title>
        <script>{SCRIPT}</script><style>:root {{ --pst-color-text-muted: #48566b;
        --pst-color-text-base: #222832; --pst-color-background: #fff }} {STYLE}</style></head>
        <body><main><h1>Parts</h1>{body}</main></body></html>"""
    )


def test_a_table_is_sorted_and_filtered_by_keyboard(page):
    with_parts(page, BOARD)

    def shown():
        return [row.inner_text().split("\t")[0] for row in page.locator("tbody tr:visible").all()]

    field = page.get_by_label("Only rows with")
    assert page.locator(".filter output").inner_text() == "4 of 4 rows"
    page.keyboard.press("Tab")
    page.keyboard.type("jpeg")
    assert shown() == ["JPEG", "JPEG XL"]
    page.keyboard.type(" xl")
    assert shown() == ["JPEG XL"]
    assert page.locator(".filter output").inner_text() == "1 of 4 rows"
    field.fill("")
    page.keyboard.press("Tab")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    heads = page.locator("th")
    assert shown() == ["AVIF", "JPEG", "JPEG XL", "AE"]  # by value; what is not known comes last
    assert heads.nth(1).get_attribute("aria-sort") == "ascending"
    page.keyboard.press("Space")
    assert shown() == ["JPEG XL", "JPEG", "AVIF", "AE"]
    assert heads.nth(1).get_attribute("aria-sort") == "descending"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert shown() == ["AE", "AVIF", "JPEG", "JPEG XL"]
    assert heads.nth(1).get_attribute("aria-sort") is None
    complain(browser.violations(page, browser.LIGHT))


def test_a_slider_goes_through_the_frames_of_the_chosen_codec(page):
    book = {"name": "fig-a", "caption": "Two.", "alt": "a film.", "width": "100%"}
    book |= {"start": 1, "choose": "Codec"}
    frames = [("JPEG", "0.1"), ("JPEG", "0.2"), ("AVIF", "0.1"), ("AVIF", "0.2")]
    book["frames"] = [
        {"choice": choice, "label": f"{rate} bpp", "png": f"{n}"}
        for n, (choice, rate) in enumerate(frames)
    ]
    script = dress.slider_text(book, "a.png").split("```{raw} html\n")[1].removesuffix("```")
    with_parts(page, f'<figure id="fig-a"><img src="{PIXELS}" alt="a film."></figure>{script}')
    image, slider = page.locator("img"), page.locator("input[type=range]")
    assert image.get_attribute("alt") == "a film. Now: JPEG, 0.2 bpp."
    page.keyboard.press("Tab")
    page.keyboard.type("AV")
    assert page.get_by_label("Codec").input_value() == "AVIF"
    assert image.get_attribute("alt") == "a film. Now: AVIF, 0.2 bpp."
    page.keyboard.press("Tab")
    page.keyboard.press("ArrowLeft")
    assert image.get_attribute("alt") == "a film. Now: AVIF, 0.1 bpp."
    assert image.get_attribute("src").endswith(",2")
    assert slider.get_attribute("aria-valuetext") == "AVIF, 0.1 bpp"
    assert browser.stuck_sliders(page) == []
    complain(browser.violations(page, browser.LIGHT))


def test_the_checks_see_what_is_wrong(page):
    """On a page with one fault of each kind; a slider at its end is none."""
    page.set_content(
        """<html lang="en"><title>Faults</title><main><h1>Faults</h1>
        <label>good <input type="range" id="good" min="0" max="4" value="4"></label>
        <label>bad <input type="range" id="bad" onkeydown="return false"></label>
        <figure><img src="data:," alt="one"><input type="range" id="idle" aria-label="x"></figure>
        <p style="color: #aaa; background: #fff">too pale</p><img src="data:,">
        <div style="overflow-x: auto"><p style="width: 900px">may be wide</p></div>
        <article><p style="width: 900px" id="wide">is wide</p>
        <div style="filter: invert(1)"><img src="data:,x" alt="two"></div></article>"""
    )
    stuck = browser.stuck_sliders(page)
    assert [name for name in ("good", "bad", "idle") if f'id="{name}"' in str(stuck)] == [
        "bad",
        "idle",
    ]
    (wide,) = browser.too_wide(page)
    assert 'id="wide"' in wide
    assert browser.changed_pictures(page) == ["data:,x"]
    found = browser.violations(page, browser.LIGHT)
    assert [line.split()[1] for line in found] == ["color-contrast", "image-alt"]
    assert [line.split()[1] for line in browser.violations(page, browser.DARK)] == [
        "color-contrast"
    ]
