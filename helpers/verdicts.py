"""What became of a paper's claims: each is judged by a rule that the chapter states.

A chapter gives its rules in the open, next to the results they judge::

    verdicts(
        "cae-brotli-mri",
        rules={"hybrid-psnr": reaches("higher", absolute=0.5, reason="other patients")},
        run={"hybrid-psnr": table.psnr.mean()},
    )
"""

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import pandas as pd

from helpers.papers import Claim, load

REPRODUCED, PARTLY, NOT = "reproduced", "partly", "not reproduced"
NOT_COMPARABLE = "not comparable"


@dataclass(frozen=True)
class Rule:
    """How one claim is judged, and what a reader should know about the outcome.

    Parameters
    ----------
    judge : callable
        Takes the paper's value and ours, returns a verdict.
    reason : str
        Printed beside the verdict.
    """

    judge: Callable[[float, float], str]
    reason: str = ""


def within(
    *, relative: float = 0.0, absolute: float = 0.0, partly: float = 3.0, reason: str = ""
) -> Rule:
    """Rule: our number lies near the paper's, on either side.

    Parameters
    ----------
    relative, absolute : float
        The larger of ``relative * |paper's value|`` and ``absolute`` is the tolerance.
    partly : float
        Up to this many tolerances away the claim counts as partly reproduced.
    reason : str

    Returns
    -------
    Rule
    """

    def judge(paper: float, ours: float) -> str:
        return _grade(abs(ours - paper), max(relative * abs(paper), absolute), partly)

    return Rule(judge, reason)


def reaches(
    better: Literal["higher", "lower"],
    *,
    relative: float = 0.0,
    absolute: float = 0.0,
    partly: float = 3.0,
    reason: str = "",
) -> Rule:
    """Rule: our number is at least as good as the paper's, or short of it by little.

    Parameters
    ----------
    better : {"higher", "lower"}
        Which numbers are the good ones.
    relative, absolute, partly, reason
        As in `within`.

    Returns
    -------
    Rule
    """
    if better not in ("higher", "lower"):
        raise ValueError(f"`better` must be 'higher' or 'lower', not {better!r}.")
    sign = 1 if better == "higher" else -1

    def judge(paper: float, ours: float) -> str:
        shortfall = sign * (paper - ours)
        return _grade(shortfall, max(relative * abs(paper), absolute), partly)

    return Rule(judge, reason)


def holds(outcome: bool | None, reason: str = "") -> Rule:
    """Rule for a claim in words, whose truth the chapter has computed.

    Parameters
    ----------
    outcome : bool or None
        True: reproduced; False: not reproduced; None: partly.
    reason : str

    Returns
    -------
    Rule
    """
    verdict = PARTLY if outcome is None else REPRODUCED if outcome else NOT
    return Rule(lambda paper, ours: verdict, reason)


def not_comparable(reason: str) -> Rule:
    """Rule: our number answers another question than the paper's.

    Parameters
    ----------
    reason : str
        Why; it may not be empty.

    Returns
    -------
    Rule
    """
    if not reason:
        raise ValueError("Say why the numbers cannot be compared.")
    return Rule(lambda paper, ours: NOT_COMPARABLE, reason)


def verdicts(
    paper: str,
    rules: Mapping[str, Rule],
    run: Mapping[str, float],
    reference: Mapping[str, float] | None = None,
    *,
    only: Sequence[str] | None = None,
    path: Path | None = None,
) -> pd.DataFrame:
    """Set the paper's numbers beside ours and judge each claim by the chapter's rule.

    The full-scale reference run is judged where there is one, this run where there is not.

    Parameters
    ----------
    paper : str
    rules : dict of id to Rule
        One rule for each claim that is shown.
    run, reference : dict of id to float
        Numbers measured in this run and in the full-scale one, in the paper's unit.
    only : sequence of str, optional
        Ids of the claims to show, in this order; all of them when omitted.
    path : Path, optional

    Returns
    -------
    pandas.DataFrame
        Columns id, place, what, unit, paper, reference, run, difference (ours minus the
        paper's), verdict, reason.

    Raises
    ------
    ValueError
        If a claim has no rule, or an id is none of the paper's.
    """
    known = {claim.id: claim for claim in load(paper, path)}
    reference = reference or {}
    unknown = {*rules, *run, *reference, *(only or ())} - known.keys()
    shown = list(known) if only is None else list(only)
    without = [key for key in shown if key not in rules]
    if unknown or without:
        problem = (
            f"no claim called {', '.join(sorted(unknown))}"
            if unknown
            else f"no rule for {', '.join(without)}"
        )
        raise ValueError(f"The verdicts on '{paper}' have {problem}; compare with papers.yml.")
    rows = [_row(known[key], rules[key], run.get(key), reference.get(key)) for key in shown]
    return pd.DataFrame(rows)


def as_table(judged: pd.DataFrame) -> pd.DataFrame:
    """Verdicts as a page shows them.

    Parameters
    ----------
    judged : pandas.DataFrame
        What `verdicts` returned.

    Returns
    -------
    pandas.DataFrame
        Columns Claim, Paper, Reference, This run, Verdict, all text.
    """
    shown = {"Claim": judged["what"] + " (" + judged["place"] + ")"}
    for column, title in {"paper": "Paper", "reference": "Reference", "run": "This run"}.items():
        pairs = zip(judged[column], judged["unit"], strict=True)
        shown[title] = [quantity(value, unit) for value, unit in pairs]
    shown["Verdict"] = [
        f"**{row.verdict}**: {row.reason}" if row.reason else f"**{row.verdict}**"
        for row in judged.itertuples()
    ]
    return pd.DataFrame(shown)


def quantity(value: float, unit: str) -> str:
    """A number with its unit, as tables of verdicts show it; a dash where there is none.

    Parameters
    ----------
    value : float
    unit : str
        May be empty.
    """
    if math.isnan(value):
        return "–"
    number = "∞" if math.isinf(value) else f"{value:,.0f}" if value >= 500 else f"{value:.2f}"
    return f"{number} {unit}".strip()


def _row(claim: Claim, rule: Rule, run: float | None, reference: float | None) -> dict:
    paper, run, reference = (
        math.nan if value is None else float(value) for value in (claim.value, run, reference)
    )
    ours = run if math.isnan(reference) else reference
    verdict = rule.judge(paper, ours)
    return {
        "id": claim.id,
        "place": claim.place,
        "what": claim.what,
        "unit": claim.unit,
        "paper": paper,
        "reference": reference,
        "run": run,
        "difference": ours - paper,
        "verdict": verdict,
        "reason": rule.reason,
    }


def _grade(distance: float, tolerance: float, partly: float) -> str:
    if math.isnan(distance):
        raise ValueError(
            "A rule that compares numbers needs the paper's and one of ours; "
            "use `not_comparable` or `holds` for this claim."
        )
    if distance <= tolerance:
        return REPRODUCED
    return PARTLY if distance <= partly * tolerance else NOT
