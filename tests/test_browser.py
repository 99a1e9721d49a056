"""The built book as a reader meets it: in a browser, with a keyboard, with a screen reader."""

import os
from urllib.parse import unquote, urldefrag

import browser
import pytest


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


def test_the_checks_see_what_is_wrong(page):
    """On a page with one fault of each kind; a slider at its end is none."""
    page.set_content(
        """<html lang="en"><title>Faults</title><main><h1>Faults</h1>
        <label>good <input type="range" id="good" min="0" max="4" value="4"></label>
        <label>bad <input type="range" id="bad" onkeydown="return false"></label>
        <p style="color: #aaa; background: #fff">too pale</p><img src="data:,">"""
    )
    (stuck,) = browser.stuck_sliders(page)
    assert 'id="bad"' in stuck
    found = browser.violations(page, browser.LIGHT)
    assert [line.split()[1] for line in found] == ["color-contrast", "image-alt"]
    assert [line.split()[1] for line in browser.violations(page, browser.DARK)] == [
        "color-contrast"
    ]
