"""What the other pages found: for those pages that speak of the whole book.

A notebook whose metadata says ``"book": {"after": "all"}`` is executed after all others, and
is told by the runner where their executed notebooks lie. In JupyterLab, where nobody tells it,
it reads the latest run of the profile ``laptop``, if there has been one.
"""

import os
import re
from pathlib import Path

import nbformat
import pandas as pd

from helpers import papers
from helpers.book.execute import read_record
from helpers.book.project import BASE_PROFILE, Page, Project

ROOT = Path(__file__).resolve().parents[1]
UNKNOWN = "not run"
_RUN = ("reference", "run", "verdict", "reason")
_CODE = re.compile(r"^(`{3,}|~{3,})\{(?:literalinclude|math|raw)\}.*?^\1\s*$", re.M | re.S)
_MARKUP = re.compile(r"^(?:[`~:]{3,}(?:\{[\w:-]+\})?|:[\w-]+:.*$)", re.M)  # fences and options
_WORD = re.compile(r"[^\W\d_][\w'’-]*")


def folder() -> Path:
    """Where the executed notebooks lie that a page may speak of.

    Returns
    -------
    Path
        What the runner says in ``$BOOK_PAGES``, else that of the profile ``laptop``. It need
        not exist.
    """
    told = os.environ.get("BOOK_PAGES")
    return Path(told) if told else ROOT / "_build" / "notebooks" / BASE_PROFILE


def read(executed: Path | None = None, root: Path = ROOT) -> pd.DataFrame:
    """Every notebook of the book and what its last run took.

    Parameters
    ----------
    executed : Path, optional
        Folder of executed notebooks; see `folder`.
    root : Path
        Where the book lies.

    Returns
    -------
    pandas.DataFrame
        One row a notebook, in reading order. Columns name (its path without ending, as in
        ``book/foundations/data-and-dicom``), title, words (of its prose), exercises, profile
        (empty where it has not been executed), wall_s (seconds) and peak_mib (MiB, both NaN
        there). Pages that speak of the others know no run, not even an earlier one of
        themselves.
    """
    executed = executed or folder()
    return pd.DataFrame([_page(page, executed) for page in Project.at(root).notebooks()])


def verdicts(executed: Path | None = None, path: Path | None = None) -> pd.DataFrame:
    """Every claim of every paper, and what became of it where its chapter has been executed.

    Parameters
    ----------
    executed : Path, optional
        Folder of executed notebooks; see `folder`.
    path : Path, optional
        Another file than the book's ``papers.yml``.

    Returns
    -------
    pandas.DataFrame
        One row a claim, in the order of ``papers.yml``. Columns paper (its chapter's name), id,
        place, what, unit, claimed (the paper's number), reference, run (ours, NaN where there
        is none), verdict and reason. Where the chapter has not been executed, the verdict is
        ``not run`` and the reason says what to do.

    Raises
    ------
    ValueError
        If an executed chapter judges a claim twice, or one that the paper does not make.
    """
    executed = executed or folder()
    rows = []
    for paper in papers.names(path):
        judged = _judged(executed, paper)
        known = papers.load(paper, path)
        if stray := judged.keys() - {claim.id for claim in known}:
            raise ValueError(
                f"The executed chapter {paper} judges {', '.join(sorted(stray))}, which "
                "papers.yml does not hold; execute the chapter again."
            )
        rows += [_claim(claim, judged.get(claim.id)) for claim in known]
    return pd.DataFrame(rows).astype({"claimed": float, "reference": float, "run": float})


def _page(page: Page, executed: Path) -> dict:
    cells = nbformat.read(page.path, as_version=4).cells
    text = "\n\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    title = next((line for line in text.splitlines() if line.startswith("# ")), page.title)
    record = None if page.after_all else read_record(executed / f"{page.name}.ipynb")
    return {
        "name": page.name,
        "title": title.removeprefix("# ").strip(),
        "words": len(_WORD.findall(_MARKUP.sub("", _CODE.sub("", text)))),
        "exercises": text.count("{exercise}"),
        "profile": record.profile if record else "",
        "wall_s": record.wall_s if record else float("nan"),
        "peak_mib": float(record.peak_mib) if record else float("nan"),
    }


def _judged(executed: Path, paper: str) -> dict[str, dict]:
    """Rows that a chapter's executed notebook carries, by the claim's id; see `publish.table`."""
    found: dict[str, dict] = {}
    for file in sorted(executed.rglob(f"{paper}.ipynb")):
        if read_record(file) is None:
            continue  # a run that was begun again and has not ended
        for cell in nbformat.read(file, as_version=4).cells:
            for output in cell.get("outputs", []):
                for row in output.get("metadata", {}).get("book", {}).get("rows", []):
                    if "verdict" not in row:
                        continue
                    if row["id"] in found:
                        raise ValueError(f"The chapter {paper} judges {row['id']} twice.")
                    found[row["id"]] = row
    return found


def _claim(claim: papers.Claim, judged: dict | None) -> dict:
    known = {"paper": claim.paper, "id": claim.id, "place": claim.place, "what": claim.what}
    known |= {"unit": claim.unit, "claimed": claim.value}
    if judged is None:
        reason = f"execute the chapter {claim.paper} first, then this page again"
        return known | dict(zip(_RUN, (None, None, UNKNOWN, reason), strict=True))
    return known | {name: judged[name] for name in _RUN}
