"""What several test files share: a tiny book, and the real one in the profile `smoke`."""

import importlib.util
import io
import json
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from helpers.book.project import Project
from helpers.runner import make_book

ROOT = Path(__file__).resolve().parents[1]
KERNEL = {"kernelspec": {"name": "python3", "display_name": "Python 3", "language": "python"}}
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg=="
)
SHOW = f"""
from IPython.display import display

def show(data, **book):
    display(data, raw=True, metadata={{"book": book}})

show({{"image/png": "{PIXEL}", "text/plain": "a pixel"}}, kind="figure", name="fig-pixel",
     caption=r"One pixel, $x_{{1}} = 2$, as in {{cite:p}}`one`.", alt='A "pixel": # black')
show({{"text/markdown": "Lab" + "Caption"}}, kind="lab")
show({{"text/html": "<table></table>"}}, kind="table", name="tab-pixel", sortable=True,
     caption=r"Values $\\{{a, b\\}}$ of {{cite:t}}`one`",
     markdown="| a | b |\\n|--:|:--|\\n| 1 | 2 |")
show({{"text/plain": ""}}, kind="provenance", name="brain-mri", source="open-pack", images=3,
     fingerprint="ab" * 32, licence="CC0", citation="A_B, 2020", preparation="", seed=7)
"""


class TinyBook:
    """A book of three pages in a temporary folder."""

    def __init__(self, root: Path):
        self.project_root = root
        files = {
            "_config.yml": (ROOT / "_config.yml").read_text(encoding="utf-8"),
            "_toc.yml": (
                "format: jb-book\nroot: book/index\nchapters:\n"
                "  - file: book/chapters/tiny\n  - file: book/references\n"
            ),
            "book/index.md": "# Start\n\nRead {doc}`chapters/tiny`.\n",
            "book/references.md": "# References\n\n```{bibliography}\n```\n",
            "book/references.bib": "@misc{one, author={Ann One}, title={On one}, year={2020}}\n",
            "book/profiles.yml": "chapters/tiny:\n  smoke: {count: 2}\n",
            "book/_static/book.css": "",
            "book/_static/book.js": "",
            "book/_static/favicon.svg": '<svg xmlns="http://www.w3.org/2000/svg"/>',
            "helpers/small.py": "def one():\n    return 1\n",
            "reference/weights/card.md": "A card.\n",
            "constraints.txt": "",
        }
        for name, text in files.items():
            self.write(name, text)
        self.notebook(SHOW)

    def write(self, name: str, text: str) -> None:
        path = self.project_root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def notebook(self, *sources: str, prose: str = "See {numref}`fig-pixel`.") -> None:
        """Write the chapter: title, parameters, prose, one code cell a source."""
        parameters = new_code_cell("profile = 'laptop'\ncount = 5", id="parameters")
        parameters.metadata["tags"] = ["parameters"]
        cells = [new_markdown_cell("# Tiny", id="title"), parameters]
        cells += [new_markdown_cell(prose, id="prose")] if prose else []
        cells += [new_code_cell(text, id=f"code-{i}") for i, text in enumerate(sources)]
        path = self.project_root / "book" / "chapters" / "tiny.ipynb"
        path.parent.mkdir(parents=True, exist_ok=True)
        nbformat.write(new_notebook(cells=cells, metadata=KERNEL), path)

    @property
    def project(self) -> Project:
        return Project.at(self.project_root)

    def make(self, **options) -> str:
        """Make the book and return what was printed."""
        out = io.StringIO()
        make_book(self.project, options.pop("profile", "smoke"), out=out, **options)
        return out.getvalue()


@pytest.fixture
def one_thread():
    """Run networks on one thread: on tiny images threads wait for each other far longer."""
    import torch

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def on_the_cpu(monkeypatch, one_thread):
    """Hide a GPU from PyTorch, so that results do not depend on the machine."""
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)


@pytest.fixture(scope="session")
def tiny_weights(tmp_path_factory) -> Path:
    """A folder of small auto-encoders: ``tiny``, ``tiny-dense`` and ``tiny-two``."""
    from delta_networks import save_all

    folder = tmp_path_factory.mktemp("weights")
    save_all(folder)
    return folder


@pytest.fixture
def tiny_networks(tiny_weights, monkeypatch) -> Path:
    """Let the codec of auto-encoder and delta find the small networks by name."""
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(tiny_weights))
    return tiny_weights


@pytest.fixture(scope="session")
def latent_weights(tmp_path_factory) -> Path:
    """A folder of small whole-film networks: ``tiny-ae``, ``tiny-vae`` and ``tiny-16``."""
    from ae_networks import save_all

    folder = tmp_path_factory.mktemp("weights")
    save_all(folder)
    return folder


@pytest.fixture
def latent_networks(latent_weights, monkeypatch) -> Path:
    """Let the codecs of a latent alone find the small networks by name."""
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(latent_weights))
    return latent_weights


@pytest.fixture(scope="session")
def context_weights(tmp_path_factory) -> Path:
    """A folder of small networks of the lossless codec: ``tiny-context`` and the book's names."""
    from context_networks import save_all

    folder = tmp_path_factory.mktemp("weights")
    save_all(folder)
    return folder


@pytest.fixture
def context_networks(context_weights, monkeypatch) -> Path:
    """Let the lossless codec that learns find the small networks by name."""
    monkeypatch.setenv("MEDCODEC_WEIGHTS", str(context_weights))
    return context_weights


@pytest.fixture
def tiny(tmp_path, monkeypatch) -> TinyBook:
    monkeypatch.delenv("BOOK_REPOSITORY_URL", raising=False)
    monkeypatch.delenv("MEDCODEC_DATA", raising=False)
    return TinyBook(tmp_path / "tiny")


@pytest.fixture(scope="session")
def smoke_project(tmp_path_factory) -> Project:
    """The real book, with a build folder of its own; its chapters are executed once.

    Weights that a chapter fetches are fetched before: no budget counts a download.
    """
    from helpers import imagenet, perceptual

    imagenet.resnet50(or_random=True)
    perceptual.lpips()
    return Project.at(ROOT, build=tmp_path_factory.mktemp("smoke"))


@pytest.fixture(scope="session")
def site(smoke_project) -> Path:
    """Folder of the real book's built site; warnings make this fail."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("BOOK_REPOSITORY_URL", raising=False)
        return make_book(smoke_project, "smoke", out=io.StringIO()).index.parent


def pretend_transformers(monkeypatch, installed):
    """Let the package transformers, which the paper's upscaler needs, seem to be there or not."""
    find_spec = importlib.util.find_spec
    found = "transformers" if installed else None
    monkeypatch.setattr(
        importlib.util,
        "find_spec",
        lambda name, *rest: found if name == "transformers" else find_spec(name, *rest),
    )


def parse_strictly(file):
    """Read a JSON file as a strict reader would, which knows no NaN and no Infinity."""

    def refuse(constant):
        raise ValueError(f"{constant} is not JSON")

    return json.loads(file.read_text(encoding="utf-8"), parse_constant=refuse)
