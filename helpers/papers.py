"""What the papers claim, number by number, with the place each stands at.

``book/papers.yml`` holds them in this form::

    cae-brotli-mri:
      cite: key-in-references-bib
      claims:
        - id: hybrid-psnr
          place: Table 4
          what: PSNR of the hybrid codec
          value: 36.98        # a number, or null for a claim in words
          unit: dB            # may be empty
          note: mean of the test images    # may be missing

The file holds no judgement: that is the business of `helpers.verdicts`.
"""

from dataclasses import asdict, dataclass
from pathlib import Path

import pandas as pd
import yaml

PAPERS = Path(__file__).resolve().parents[1] / "book" / "papers.yml"
_REQUIRED, _OPTIONAL = {"id", "place", "what", "value"}, {"unit", "note"}


@dataclass(frozen=True)
class Claim:
    """One thing a paper says.

    Parameters
    ----------
    paper : str
        Name of the chapter that is about the paper.
    id : str
        Short name, unique within the paper.
    place : str
        Table, figure, equation or section it stands in.
    what : str
        The claim in words.
    value : float or None
        The claimed number; None where the claim is a sentence.
    unit : str
    note : str
        What one must know to read the number.
    """

    paper: str
    id: str
    place: str
    what: str
    value: float | None
    unit: str = ""
    note: str = ""


def claims(paper: str, path: Path | None = None) -> pd.DataFrame:
    """Every claim of a paper, one row each.

    Parameters
    ----------
    paper : str
        Name of the chapter that is about the paper, for example ``"cae-brotli-mri"``.
    path : Path, optional
        Another file than the book's ``papers.yml``.

    Returns
    -------
    pandas.DataFrame
        Columns paper, id, place, what, value (float, NaN where the claim has no number),
        unit, note.

    Raises
    ------
    ValueError
        If the file is not in the form shown at the top of this module.
    """
    frame = pd.DataFrame([asdict(claim) for claim in load(paper, path)])
    return frame.astype({"value": "float64"})


def as_table(frame: pd.DataFrame) -> pd.DataFrame:
    """Claims as a page shows them, a dash where there is no number.

    Parameters
    ----------
    frame : pandas.DataFrame
        What `claims` returned.

    Returns
    -------
    pandas.DataFrame
        Columns Place, Claim, Value, Unit, Note, all text.
    """
    values = [f"{value:,.10g}" if pd.notna(value) else "–" for value in frame["value"]]
    titles = {"place": "Place", "what": "Claim", "value": "Value", "unit": "Unit", "note": "Note"}
    return frame.assign(value=values)[list(titles)].rename(columns=titles)


def names(path: Path | None = None) -> list[str]:
    """The papers' names, which are those of their chapters.

    Parameters
    ----------
    path : Path, optional

    Returns
    -------
    list of str
    """
    return list(_papers(path or PAPERS))


def load(paper: str, path: Path | None = None) -> list[Claim]:
    """The claims of a paper as objects; see `claims`.

    Parameters
    ----------
    paper : str
    path : Path, optional

    Returns
    -------
    list of Claim
    """
    path = path or PAPERS
    papers = _papers(path)
    if paper not in papers:
        raise ValueError(
            f"{path.name} holds no paper '{paper}'; it holds {', '.join(papers) or 'none'}."
        )
    entries = (papers[paper] or {}).get("claims") or []
    found = [_claim(paper, entry, path.name) for entry in entries]
    twice = {claim.id for claim in found if sum(c.id == claim.id for c in found) > 1}
    if twice or not found:
        problem = f"has the id {min(twice)} twice" if twice else "has no claims"
        raise ValueError(f"In {path.name}, '{paper}' {problem}; each claim needs an id of its own.")
    return found


def _papers(path: Path) -> dict:
    try:
        return yaml.safe_load(path.read_text(encoding="utf-8")) or {}
    except (OSError, yaml.YAMLError) as error:
        raise ValueError(f"{path.name} cannot be read ({error}); restore it.") from error


def _claim(paper: str, entry: object, file: str) -> Claim:
    where = f"In {file}, a claim of '{paper}'"
    if not isinstance(entry, dict) or not _REQUIRED <= entry.keys() <= _REQUIRED | _OPTIONAL:
        raise ValueError(
            f"{where} ({entry!r}) must have {', '.join(sorted(_REQUIRED))} and may have "
            f"{', '.join(sorted(_OPTIONAL))}, nothing else."
        )
    value = entry["value"]
    if isinstance(value, bool) or not isinstance(value, int | float | None):
        raise ValueError(f"{where} ({entry['id']}) has the value {value!r}: a number or null.")
    text = {key: str(entry.get(key) or "") for key in ("id", "place", "what", "unit", "note")}
    return Claim(paper=paper, value=None if value is None else float(value), **text)
