"""Every claim of the papers as the scoreboard shows it, and how many became what."""

import pandas as pd

from helpers.pages import UNKNOWN
from helpers.verdicts import NOT, NOT_COMPARABLE, PARTLY, REPRODUCED, quantity

ORDER = (REPRODUCED, PARTLY, NOT, NOT_COMPARABLE, UNKNOWN)


def shown(found: pd.DataFrame) -> pd.DataFrame:
    """Claims as a table of a page.

    Parameters
    ----------
    found : pandas.DataFrame
        From `helpers.pages.verdicts`.

    Returns
    -------
    pandas.DataFrame
        Columns Chapter, Claim, Paper, Reference, This run, Verdict, Why, all text.
    """
    table = {
        "Chapter": [f"{{doc}}`{paper} <../chapters/{paper}>`" for paper in found["paper"]],
        "Claim": found["what"] + " (" + found["place"] + ")",
    }
    titles = {"claimed": "Paper", "reference": "Reference", "run": "This run"}
    for column, title in titles.items():
        pairs = zip(found[column], found["unit"], strict=True)
        table[title] = [quantity(value, unit) for value, unit in pairs]
    return pd.DataFrame(table | {"Verdict": found["verdict"], "Why": found["reason"]})


def counted(found: pd.DataFrame) -> pd.DataFrame:
    """Count claims by paper and verdict.

    Parameters
    ----------
    found : pandas.DataFrame
        From `helpers.pages.verdicts`.

    Returns
    -------
    pandas.DataFrame
        Index: papers, in their order; columns: the verdicts that occur, best first.
    """
    counts = pd.crosstab(found["paper"], found["verdict"]).reindex(found["paper"].unique())
    return counts[[verdict for verdict in ORDER if verdict in counts]]
