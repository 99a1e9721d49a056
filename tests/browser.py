"""A headless Chromium, the built book behind a local address, and what a page shows in it."""

import contextlib
import functools
import http.server
import shutil
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright

COMMANDS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
GRAVE = {"serious", "critical"}
LIGHT, DARK = "light", "dark"
PHONE = {"width": 390, "height": 844}  # CSS pixels

# what is folded must hold up too once a reader has opened it
_UNFOLD = """() => {
  document.querySelectorAll('details').forEach(fold => fold.open = true);
  document.querySelectorAll('.toggle-hidden .toggle-button').forEach(button => button.click());
}"""
_LEFT = "net::ERR_ABORTED"  # the reader was on the next page before it came
_MEASURED_MS = 400  # after 300 ms the theme sees which blocks scroll
# words of code look alike where they are of one kind: one of each kind is left for axe
_ONE_OF_EACH = """() => {
  const known = new Set();
  for (const word of document.querySelectorAll('.highlight pre span[class]')) {
    const kind = word.className + ' in ' + word.closest('.highlight').parentElement.className;
    if (known.has(kind)) word.replaceWith(...word.childNodes);
    known.add(kind);
  }
}"""
_FEWER_ROWS = (
    "() => document.querySelectorAll('tbody tr:nth-child(n+4)').forEach(row => row.remove())"
)
_DRAWN = "() => window.MathJax?.startup?.promise?.then(() => true) ?? true"
_IMAGES = """() => [...document.images].map(
  image => [image.getAttribute('src'), image.alt.trim(), image.naturalWidth])"""
# a page that is wider than the screen, and what of it reaches out; what scrolls by itself may
_WIDE = """() => {
  const screen = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= screen + 1) return [];
  const scrolls = e => e && (/(auto|scroll|hidden)/.test(getComputedStyle(e).overflowX)
    || scrolls(e.parentElement));
  const out = [...document.querySelectorAll('article *')].filter(
    e => e.getBoundingClientRect().right > screen + 1 && !scrolls(e.parentElement));
  return out.slice(0, 3).map(e => e.outerHTML.slice(0, 120)).concat(
    out.length ? [] : ['something outside the article']);
}"""
# grey values of a film mean something, in the dark too
_CHANGED = """() => [...document.querySelectorAll('article img')].filter(image => {
  for (let e = image; e; e = e.parentElement) {
    const look = getComputedStyle(e);
    if (look.filter !== 'none' || look.opacity !== '1' || look.mixBlendMode !== 'normal')
      return true;
  }
}).map(image => image.getAttribute('src').slice(0, 80))"""
_PICTURE = "slider => slider.closest('figure')?.querySelector('img')?.src ?? ''"
_LINKS = "() => [...document.querySelectorAll('a[href], area[href]')].map(link => link.href)"
_NAMES = "() => [...document.querySelectorAll('[id], a[name]')].map(e => e.id || e.name)"


@dataclass
class Visit:
    """What was seen on one page.

    Parameters
    ----------
    name : str
        Path of the page inside the site.
    errors : list of str
        Errors in the console and requests that failed.
    images : list of (address, alternative text, width in pixels as loaded)
    links : list of str
        Whole addresses.
    names : set of str
        What a link's fragment can point to.
    sliders : int
    stuck : list of str
        Sliders that the keyboard does not move, or whose picture it does not change.
    wide : list of str
        What reaches out of a phone's screen.
    changed : list of str
        Pictures whose grey values the dark theme changes.
    violations : list of str
        What axe reports as serious or critical.
    """

    name: str
    errors: list[str] = field(default_factory=list)
    images: list[tuple[str, str, int]] = field(default_factory=list)
    links: list[str] = field(default_factory=list)
    names: set[str] = field(default_factory=set)
    sliders: int = 0
    stuck: list[str] = field(default_factory=list)
    wide: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    violations: list[str] = field(default_factory=list)


@functools.cache
def find() -> Path | None:
    """The machine's Chromium, else the one that Playwright has installed, else None."""
    for command in COMMANDS:
        if found := shutil.which(command):
            return Path(found)
    with sync_playwright() as playwright:
        own = Path(playwright.chromium.executable_path)
    return own if own.is_file() else None


@contextlib.contextmanager
def opened(program: Path) -> Iterator[Browser]:
    """A browser without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=QUIET)
        yield browser
        browser.close()


@contextlib.contextmanager
def served(folder: Path) -> Iterator[str]:
    """Address, with a slash at its end, of a folder behind a free local port."""
    handler = functools.partial(_Handler, directory=folder)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/"
        server.shutdown()


def visit(browser: Browser, address: str, name: str) -> Visit:
    """Open a page as a first-time reader would, and look at all of it."""
    seen = Visit(name)
    context = browser.new_context()
    page = context.new_page()
    listen(page, seen.errors)
    page.goto(address + name)
    page.evaluate(_DRAWN)
    page.evaluate(_UNFOLD)
    page.wait_for_timeout(_MEASURED_MS)
    seen.images = [tuple(image) for image in page.evaluate(_IMAGES)]
    seen.links = page.evaluate(_LINKS)
    seen.names = set(page.evaluate(_NAMES))
    seen.sliders = page.locator("input[type=range]").count()
    seen.stuck = stuck_sliders(page)
    seen.wide = too_wide(page)
    seen.changed = changed_pictures(page)
    page.evaluate(_ONE_OF_EACH)
    seen.violations = violations(page, LIGHT) + violations(page, DARK)
    context.close()
    return seen


def listen(page: Page, errors: list[str]) -> None:
    """Collect the errors of a page from now on."""
    page.on("console", lambda said: said.type == "error" and errors.append(said.text))
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on(
        "requestfailed",
        lambda asked: asked.failure != _LEFT and errors.append(f"no answer from {asked.url}"),
    )
    page.on(
        "response",
        lambda answer: answer.status >= 400 and errors.append(f"{answer.status}: {answer.url}"),
    )


def stuck_sliders(page: Page) -> list[str]:
    """The sliders that neither arrow key moves, or not their pictures, each by its HTML."""
    stuck = []
    for slider in page.locator("input[type=range]").all():
        before, picture = slider.input_value(), slider.evaluate(_PICTURE)
        moved, pictures = set(), set()
        for key in ("ArrowRight", "ArrowLeft"):
            slider.evaluate("slider => slider.focus()")  # as Tab does, wherever it stands
            page.keyboard.press(key)
            moved.add(slider.input_value())
            pictures.add(slider.evaluate(_PICTURE))
        if moved == {before} or (picture and pictures == {picture}):
            stuck.append(slider.evaluate("slider => slider.outerHTML"))
    return stuck


def too_wide(page: Page) -> list[str]:
    """What of a page reaches out of a phone's screen; empty where the page fits."""
    before = page.viewport_size
    page.set_viewport_size(PHONE)
    found = page.evaluate(_WIDE)
    page.set_viewport_size(before)
    return found


def changed_pictures(page: Page) -> list[str]:
    """Pictures that a filter, opacity or blending of the dark theme changes."""
    theme = page.evaluate("() => document.documentElement.dataset.theme ?? ''")
    page.evaluate("theme => { document.documentElement.dataset.theme = theme }", DARK)
    found = page.evaluate(_CHANGED)
    page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
    return found


def violations(page: Page, theme: str) -> list[str]:
    """Serious and critical findings of axe: the rule, its aim and the elements."""
    page.evaluate("theme => { document.documentElement.dataset.theme = theme }", theme)
    page.add_style_tag(content="* { transition: none !important }")
    # without preload axe asks for style sheets again, at addresses where there are none;
    # only colours depend on the theme
    options = {"preload": False, "resultTypes": ["violations"]}
    if theme == DARK:
        options["runOnly"] = ["color-contrast"]
        page.evaluate(_FEWER_ROWS)  # the rows below have the colours of those above
    # MathJax draws thousands of glyphs in the colour of the text around them
    outside_formulas = {"exclude": [["mjx-container"]]}
    answer = Axe().run(page, context=outside_formulas, options=options).response
    return [
        f"{theme}: {found['id']} ({found['help']}): {node['target'][0]}"
        for found in answer["violations"]
        for node in found["nodes"]
        if found["impact"] in GRAVE
    ]


class _Handler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, *words: object) -> None:
        """No line in the test's output for each request."""
