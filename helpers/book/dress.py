"""Turn an executed notebook into a page: numbered figures and tables, a banner, no plumbing.

`helpers.publish` and `helpers.provenance` leave their words in the metadata of outputs, under
``"book"``. Here each becomes MyST: a figure or table that has a number and a name to refer
to, in a cell of its own right after the code that made it.
"""

import base64
import json
import re
from pathlib import Path

from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell

from helpers.book.cards import cards_text
from helpers.book.execute import Record, write
from helpers.progress import clock

_SHOWN_DIGITS = 12  # hexadecimal digits of a fingerprint that a reader can compare


def dress(
    notebook: NotebookNode, record: Record, folder: Path, repository: str = ""
) -> NotebookNode:
    """Make the page of an executed notebook.

    Parameters
    ----------
    notebook : NotebookNode
        Executed and cleaned; it is changed.
    record : Record
        Of its run.
    folder : Path
        Where the page will be; its pictures go to ``_figures/<chapter>`` below.
    repository : str
        Address that pip can install the book from, for readers on hosted notebooks.

    Returns
    -------
    NotebookNode
    """
    chapter = record.chapter.rpartition("/")[2]
    cells, notes = [], []
    for cell in notebook.cells:
        if "injected-parameters" in cell.metadata.get("tags", []):
            continue  # the banner says what the profile changed
        cells.append(cell)
        if cell.cell_type == "code":
            kept, pages, found = _sort_outputs(cell.outputs, folder, chapter)
            cell.outputs = kept
            cells += pages
            notes += found
    cells.insert(1, _cell(f"{chapter}-banner", banner(record, notes, repository)))
    notebook.cells = cells
    return notebook


def banner(record: Record, notes: list[dict], repository: str = "") -> str:
    """MyST text that says what produced a page.

    Parameters
    ----------
    record : Record
    notes : list of dict
        What `helpers.provenance.record` left in the chapter.
    repository : str

    Returns
    -------
    str
    """
    took = f"{clock(record.wall_s)} min"
    title = f"How this page was made: profile {record.profile}, {took}"
    lines = [f"- **Profile** {record.profile}{_changes(record)}"]
    lines += [_data_line(note) for note in _unique(notes)]
    seeds = sorted({note["seed"] for note in notes if note.get("seed") is not None})
    if seeds:
        lines.append(f"- **Seed** {', '.join(map(str, seeds))}")
    lines.append(
        f"- **Run** {record.date} on {_plain(record.device)}: {took}, "
        f"at most {record.peak_mib:,} MiB of memory"
    )
    versions = ", ".join(f"{name} {version}" for name, version in record.versions.items())
    lines.append(f"- **Versions** {_plain(versions)}")
    if repository:
        lines.append(f"- **On a hosted notebook** first run `%pip install git+{repository}`")
    text = f":::{{admonition}} {title}\n:class: note dropdown\n" + "\n".join(lines) + "\n:::"
    if record.profile == "smoke":
        text += (
            "\n\n:::{warning}\nThis is a smoke run. It shows that every cell works; "
            "its numbers mean nothing.\n:::"
        )
    return text


def figure_text(book: dict, picture: str) -> str:
    """MyST text of a numbered figure.

    Parameters
    ----------
    book : dict
        Metadata of the output: name, caption, alt, width.
    picture : str
        Path of the image file from the page.

    Returns
    -------
    str
    """
    options = {"name": book["name"], "alt": book["alt"], "width": book.get("width", "100%")}
    return _directive("figure", picture, options, book["caption"].strip())


def slider_text(book: dict, picture: str) -> str:
    """MyST text of a figure with a slider, which `book.js` builds from the frames beside it.

    Parameters
    ----------
    book : dict
        Metadata of the output: as for a figure, and frames and start.
    picture : str
        Path of the image file that is seen in the beginning.

    Returns
    -------
    str
    """
    frames = {
        "figure": book["name"],
        "alt": " ".join(book["alt"].split()),
        "start": book["start"],
        "frames": [
            {
                **{key: value for key, value in frame.items() if key != "png"},
                "src": f"data:image/png;base64,{frame['png']}",
            }
            for frame in book["frames"]
        ],
        **({"choose": book["choose"]} if "choose" in book else {}),
    }
    inside = json.dumps(frames, ensure_ascii=False).replace("<", "\\u003c")
    script = f'<script type="application/json" class="frames">{inside}</script>'
    return f"{figure_text(book, picture)}\n\n```{{raw}} html\n{script}\n```"


def table_text(book: dict) -> str:
    """MyST text of a numbered table.

    Parameters
    ----------
    book : dict
        Metadata of the output: name, caption, markdown.

    Returns
    -------
    str
    """
    caption = " ".join(book["caption"].split())  # a directive's argument is one line
    options = {"name": book["name"]}
    if book.get("sortable"):
        options["class"] = "sortable"  # `book.js` looks for it
    return _directive("table", caption, options, book["markdown"].strip())


def _sort_outputs(
    outputs: list[NotebookNode], folder: Path, chapter: str
) -> tuple[list[NotebookNode], list[NotebookNode], list[dict]]:
    """Outputs that stay, cells that some become, notes on provenance."""
    kept, cells, notes = [], [], []
    for output in outputs:
        book = output.get("metadata", {}).get("book")
        kind = book["kind"] if book else None
        if kind in ("figure", "slider"):
            picture = f"_figures/{chapter}/{book['name']}.png"
            write(folder / picture, base64.b64decode(output.data["image/png"]))
            text = (figure_text if kind == "figure" else slider_text)(book, picture)
            cells.append(_cell(f"{chapter}-{book['name']}", text))
        elif kind == "cards":
            text, pictures = cards_text(book, f"_figures/{chapter}")
            for picture, png in pictures.items():
                write(folder / picture, base64.b64decode(png))
            cells.append(_cell(f"{chapter}-{book['name']}", text))
        elif kind == "table":
            cells.append(_cell(f"{chapter}-{book['name']}", table_text(book)))
        elif kind == "provenance":
            notes.append(dict(book))
        elif kind != "lab" and not _is_empty(output):  # "lab" repeats captions for JupyterLab
            kept.append(output)
    return kept, cells, notes


def _is_empty(output: NotebookNode) -> bool:
    """Whether only the place of a finished live line is left."""
    return dict(output.get("data", {})) == {"text/plain": ""}


def _directive(name: str, argument: str, options: dict[str, str], body: str) -> str:
    # tildes, because an argument between backtick fences cannot hold a role such as {cite}
    longest = max((len(run) for run in re.findall(r"~{3,}", body)), default=2)
    fence = "~" * (longest + 1)
    lines = [f"{fence}{{{name}}} {argument}"]
    lines += [
        f":{key}: {json.dumps(' '.join(value.split()), ensure_ascii=False)}"
        for key, value in options.items()
    ]
    return "\n".join([*lines, "", body, fence])


def _data_line(note: dict) -> str:
    fingerprint = note["fingerprint"][:_SHOWN_DIGITS]
    text = (
        f"- **Data** *{_plain(note['name'])}* from {_plain(note['source'])}: "
        f"{note['images']} images, fingerprint `{fingerprint}`, licence {_plain(note['licence'])}."
    )
    return " ".join([text, _plain(note["citation"]), _plain(note.get("preparation", ""))]).strip()


def _changes(record: Record) -> str:
    changed = {key: value for key, value in record.parameters.items() if key != "profile"}
    if not changed:
        return ""
    return ": " + ", ".join(f"`{key} = {value!r}`" for key, value in changed.items())


def _unique(notes: list[dict]) -> list[dict]:
    seen = {(note["name"], note["fingerprint"]): note for note in reversed(notes)}
    return list(reversed(seen.values()))


def _plain(text: str) -> str:
    """Text without meaning to Markdown."""
    return re.sub(r"([\\`*_{}\[\]<>$|])", r"\\\1", " ".join(str(text).split()))


def _cell(name: str, source: str) -> NotebookNode:
    identity = re.sub(r"[^\w-]", "-", name)[:64]
    return new_markdown_cell(source, id=identity)
