import pytest

from helpers.book.key import chapter_key
from helpers.book.project import Project, parameters


def page(tiny):
    return tiny.project.notebooks()[0]


def test_pages_in_reading_order(tiny):
    names = [page.name for page in tiny.project.pages()]
    assert names == ["book/index", "book/chapters/tiny", "book/references"]


def test_missing_page_is_named(tiny):
    (tiny.project_root / "book" / "references.md").unlink()
    with pytest.raises(ValueError, match=r"book/references\.md"):
        tiny.project.pages()


def test_no_book_here(tmp_path):
    with pytest.raises(ValueError, match=r"no _toc\.yml"):
        Project.at(tmp_path)


def test_only_finds_a_chapter_by_any_of_its_names(tiny):
    for name in ("tiny", "chapters/tiny", "book/chapters/tiny", "book/chapters/tiny.ipynb"):
        assert [p.title for p in tiny.project.notebooks(name)] == ["tiny"]
    with pytest.raises(ValueError, match=r"'huge'.*tiny"):
        tiny.project.notebooks("huge")


def test_parameters_are_the_laptop_values(tiny):
    assert parameters(page(tiny).path) == {"profile": "laptop", "count": 5}


def test_derived_value_in_parameters_cell(tiny):
    path = page(tiny).path
    path.write_text(path.read_text().replace("count = 5", "count = 5 * len(profile)"))
    with pytest.raises(ValueError, match="count = 5 \\* len"):
        parameters(path)


def test_overrides(tiny):
    assert tiny.project.overrides(page(tiny), "laptop") == {}
    assert tiny.project.overrides(page(tiny), "smoke") == {"count": 2, "profile": "smoke"}
    assert tiny.project.overrides(page(tiny), "full") == {"profile": "full"}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("chapters/tiny:\n  smoke: {cuont: 2}\n", "cuont.*count"),
        ("chapters/huge:\n  smoke: {count: 2}\n", "chapters/huge"),
        ("chapters/tiny:\n  quick: {count: 2}\n", "smoke and full"),
        ("chapters/tiny:\n  laptop: {count: 2}\n", "laptop"),
        ("chapters/tiny: [", "no valid YAML"),
    ],
)
def test_wrong_profiles(tiny, text, words):
    tiny.write("book/profiles.yml", text)
    with pytest.raises(ValueError, match=words):
        tiny.project.overrides(page(tiny), "smoke")


def test_unknown_profile(tiny):
    with pytest.raises(ValueError, match="smoke, laptop, full"):
        tiny.project.overrides(page(tiny), "quick")


def test_buttons_hidden_without_an_address(tiny, monkeypatch):
    config = tiny.project.config()
    assert "repository" not in config
    assert "launch_buttons" not in config
    assert "use_repository_button" not in config["html"]
    monkeypatch.setenv("BOOK_REPOSITORY_URL", "https://git.example/ann/book.git")
    config = tiny.project.config()
    assert config["repository"]["url"] == "https://git.example/ann/book"
    assert config["launch_buttons"]["colab_url"]


def test_key_follows_everything_results_depend_on(tiny, monkeypatch, tmp_path):
    def key(profile="smoke"):
        return chapter_key(tiny.project, page(tiny), profile)

    keys = [key()]
    assert key() == keys[0]
    keys.append(key("full"))
    tiny.write("helpers/small.py", "def one():\n    return 2\n")
    keys.append(key())
    tiny.write("helpers/bench/small.py", "SETTINGS = (1, 2)\n")  # pages measure with it, too
    keys.append(key())
    tiny.write("reference/weights/card.md", "Another card.\n")
    keys.append(key())
    tiny.write("constraints.txt", "numpy==2.0\n")
    keys.append(key())
    tiny.write("book/profiles.yml", "chapters/tiny:\n  smoke: {count: 3}\n")
    keys.append(key())
    tiny.notebook("1 + 1")
    keys.append(key())
    data = tmp_path / "data"
    data.mkdir()
    (data / "a.png").write_bytes(b"1")
    monkeypatch.setenv("MEDCODEC_DATA", str(data))
    keys.append(key())
    (data / "a.png").write_bytes(b"12")
    keys.append(key())
    assert len(set(keys)) == len(keys)


def test_key_ignores_what_changes_no_result(tiny):
    before = chapter_key(tiny.project, page(tiny), "smoke")
    tiny.write("helpers/cli.py", "x = 1\n")
    tiny.write("helpers/book/dress.py", "x = 1\n")
    tiny.write("helpers/codecs/commands.py", "x = 1\n")
    tiny.write("book/index.md", "# Another start\n")
    assert chapter_key(tiny.project, page(tiny), "smoke") == before
