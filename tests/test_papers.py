import math

import pandas as pd
import pytest

from helpers import papers
from helpers import verdicts as judging
from helpers.papers import claims
from helpers.verdicts import holds, not_comparable, reaches, verdicts, within

GOOD = """
tiny:
  cite: one
  claims:
    - {id: psnr, place: Table 4, what: PSNR, value: 36.98, unit: dB, note: mean}
    - {id: size, place: Table 4, what: size, value: 71, unit: kB}
    - {id: words, place: Section 5, what: better than JPEG 2000, value: null}
"""


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "papers.yml"
    file.write_text(GOOD)
    return file


def judge(rule, ours, path, claim="psnr", **options):
    return verdicts("tiny", {claim: rule}, {claim: ours}, only=[claim], path=path, **options).iloc[
        0
    ]


def test_claims(path):
    frame = claims("tiny", path)
    assert list(frame.columns) == ["paper", "id", "place", "what", "value", "unit", "note"]
    assert list(frame.id) == ["psnr", "size", "words"]
    assert frame.value[0] == 36.98
    assert math.isnan(frame.value[2])


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("tiny:", "huge:", "no paper 'tiny'; it holds huge"),
        ("id: size", "id: psnr", "psnr twice"),
        ("value: 71", "value: '71 kB'", "'71 kB'"),
        ("value: 71", "value: true", "True"),
        ("place: Section 5, ", "", "must have"),
        ("unit: kB", "verdict: good", "nothing else"),
        ("tiny:", "tiny: [", "cannot be read"),
    ],
)
def test_wrong_file(path, old, new, words):
    path.write_text(GOOD.replace(old, new))
    with pytest.raises(ValueError, match=words):
        claims("tiny", path)


def test_empty_and_missing_file(path, tmp_path):
    path.write_text("tiny: {cite: one}")
    with pytest.raises(ValueError, match="has no claims"):
        claims("tiny", path)
    with pytest.raises(ValueError, match="cannot be read"):
        claims("tiny", tmp_path / "none.yml")


@pytest.mark.parametrize(
    ("ours", "verdict"),
    [(36.5, "reproduced"), (37.9, "reproduced"), (34.1, "partly"), (40.1, "not reproduced")],
)
def test_within(path, ours, verdict):
    assert judge(within(absolute=1, partly=3), ours, path).verdict == verdict


@pytest.mark.parametrize(
    ("better", "ours", "verdict"),
    [
        ("higher", 50.0, "reproduced"),
        ("higher", 36.5, "reproduced"),
        ("higher", 35.0, "partly"),
        ("higher", 20.0, "not reproduced"),
        ("lower", 20.0, "reproduced"),
        ("lower", 50.0, "not reproduced"),
    ],
)
def test_reaches(path, better, ours, verdict):
    row = judge(reaches(better, absolute=1), ours, path)
    assert row.verdict == verdict
    assert row.difference == pytest.approx(ours - 36.98)


def test_relative_tolerance(path):
    assert judge(within(relative=0.1), 40.0, path).verdict == "reproduced"
    assert judge(within(relative=0.01), 40.0, path).verdict == "not reproduced"


def test_reference_run_is_judged_before_this_run(path):
    row = judge(within(absolute=1), 10.0, path, reference={"psnr": 37.0})
    assert (row.verdict, row.run, row.reference) == ("reproduced", 10.0, 37.0)


@pytest.mark.parametrize(
    ("outcome", "verdict"), [(True, "reproduced"), (False, "not reproduced"), (None, "partly")]
)
def test_claims_in_words(path, outcome, verdict):
    table = verdicts("tiny", {"words": holds(outcome, "why")}, {}, only=["words"], path=path)
    assert (table.verdict[0], table.reason[0]) == (verdict, "why")


def test_not_comparable_needs_a_reason(path):
    assert judge(not_comparable("float original"), 1.0, path).verdict == "not comparable"
    with pytest.raises(ValueError, match="why"):
        not_comparable("")


def test_every_claim_needs_a_rule_and_every_rule_a_claim(path):
    with pytest.raises(ValueError, match="no rule for size, words"):
        verdicts("tiny", {"psnr": within(absolute=1)}, {"psnr": 37}, path=path)
    with pytest.raises(ValueError, match="no claim called snr"):
        verdicts("tiny", {}, {"snr": 37}, only=[], path=path)


def test_comparing_nothing_is_refused(path):
    with pytest.raises(ValueError, match="needs the paper's and one of ours"):
        verdicts("tiny", {"psnr": within(absolute=1)}, {}, only=["psnr"], path=path)
    with pytest.raises(ValueError, match="better"):
        reaches("more")


def test_tables_for_a_page_leave_out_what_is_not_known():
    read = pd.DataFrame(
        {
            "place": ["Table 1", "Title"],
            "what": ["values", "is good"],
            "value": [131072.0, math.nan],
            "unit": ["", ""],
            "note": ["", "in words"],
        }
    )
    assert papers.as_table(read)["Value"].tolist() == ["131,072", "–"]
    judged = read.assign(
        paper=[4.641, math.nan],
        reference=[math.inf, 71000.0],
        run=[0.0, -1.5],
        unit=["bpp", ""],
        verdict=["partly", "reproduced"],
        reason=["other films", ""],
    )
    shown = judging.as_table(judged)
    assert shown["Claim"].tolist() == ["values (Table 1)", "is good (Title)"]
    assert shown["Paper"].tolist() == ["4.64 bpp", "–"]
    assert shown["Reference"].tolist() == ["∞ bpp", "71,000"]
    assert shown["This run"].tolist() == ["0.00 bpp", "-1.50"]
    assert shown["Verdict"].tolist() == ["**partly**: other films", "**reproduced**"]
