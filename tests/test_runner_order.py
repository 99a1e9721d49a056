"""Pages that speak of the others: executed last, told where the others are, kept fresh."""

import io
import json

import pytest

from helpers.book.key import chapter_key
from helpers.runner import run_notebooks

TELL = "import os\nprint('told', bool(os.environ.get('BOOK_PAGES')))"
LIST = """
import os, pathlib
told = pathlib.Path(os.environ["BOOK_PAGES"])
print(told.name, sorted(path.stem for path in told.rglob("*.ipynb")))
"""


@pytest.fixture
def two(tiny):
    """A book whose first page, ``about``, speaks of the second, ``tiny``."""
    tiny.notebook(LIST)
    path = tiny.project.notebooks()[0].path
    about = json.loads(path.read_text(encoding="utf-8"))
    about["metadata"]["book"] = {"after": "all"}
    tiny.write("book/chapters/about.ipynb", json.dumps(about))
    tiny.notebook(TELL)
    tiny.write(
        "_toc.yml",
        "format: jb-book\nroot: book/index\nchapters:\n"
        "  - file: book/chapters/about\n  - file: book/chapters/tiny\n",
    )
    return tiny


def run(book, **options):
    chapters = run_notebooks(book.project, "smoke", out=io.StringIO(), **options)
    return {chapter.page.title: chapter for chapter in chapters}


def text(book, name):
    (page,) = book.project.notebooks(name)
    return book.project.executed(page, "smoke").read_text(encoding="utf-8")


def test_which_pages_speak_of_the_others(two):
    pages = {page.title: page for page in two.project.pages()}
    assert [name for name, page in pages.items() if page.after_all] == ["about"]


def test_a_page_about_the_others_runs_last_and_when_they_changed(two):
    chapters = run(two)
    assert list(chapters) == ["tiny", "about"]
    assert "smoke ['tiny']" in text(two, "about")
    assert "told False" in text(two, "tiny")
    assert not any(chapter.fresh for chapter in run(two).values())
    two.notebook(TELL, prose="Another sentence.")
    assert all(chapter.fresh for chapter in run(two).values())


def test_alone_it_takes_what_is_there(two):
    assert list(run(two, only="about")) == ["about"]
    assert "smoke []" in text(two, "about")
    assert all(chapter.fresh for chapter in run(two).values())


def test_its_key_follows_each_run_of_the_others(two):
    (about,) = two.project.notebooks("about")
    (tiny,) = two.project.notebooks("tiny")

    def keys():
        return tuple(chapter_key(two.project, page, "smoke") for page in (about, tiny))

    record = two.project.executed(tiny, "smoke").with_suffix(".json")
    record.parent.mkdir(parents=True)
    before = keys()
    record.write_text("one run")
    first = keys()
    record.write_text("another run")
    second = keys()
    assert len({before[0], first[0], second[0]}) == 3
    assert before[1] == first[1] == second[1]
    own = two.project.executed(about, "smoke").with_suffix(".json")
    own.write_text("its own run")
    assert keys() == second
