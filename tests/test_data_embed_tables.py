"""The tables of EMBED: labels from findings, images that count, and tables that are wrong."""

import pytest
from embed_tree import BASE, finding, image, write

from helpers.data.embed import Film, read_tables
from helpers.data.embed_tables import CLINICAL, METADATA
from helpers.errors import DataError


@pytest.fixture
def labels(tmp_path):
    """Labels of the breasts of one exam, both of them imaged, that some findings give."""

    def labels(*findings):
        # another exam, so that there is always something to list
        rows = [finding("e9"), *findings]
        films = read_tables(write(tmp_path, rows, [image("e9"), image(), image(side="R")]))
        return {film.side: film.label for film in films if film.exam == "e1"}

    return labels


@pytest.mark.parametrize("letter", ["S", "M", "K"])
def test_a_suspicious_finding_with_a_biopsy_is_positive_and_without_of_no_part(labels, letter):
    assert labels(finding(asses=letter, biopsy="2017-01-20")) == {"L": "POSITIVE"}
    assert labels(finding(asses=letter)) == {}


@pytest.mark.parametrize("letter, label", [("N", "NEGATIVE"), ("B", "NEGATIVE")])
def test_bi_rads_1_and_2_are_negative(labels, letter, label):
    assert labels(finding(asses=letter)) == {"L": label}


@pytest.mark.parametrize("letter", ["A", "P", "X", ""])
@pytest.mark.parametrize("biopsy", ["", "2017-01-20"])
def test_bi_rads_0_and_3_and_no_assessment_take_no_part(labels, letter, biopsy):
    assert labels(finding(asses=letter, biopsy=biopsy)) == {}
    assert labels(finding(asses=letter, biopsy=biopsy), finding()) == {}


@pytest.mark.parametrize(
    "day, counts",
    [
        ("2016-12-31", False),
        ("2017-01-01", True),
        ("2017-06-30", True),  # day 180
        ("2017-06-30 23:59:00", True),
        ("2017-07-01", False),  # day 181
        ("2018-01-01", False),
    ],
)
def test_a_biopsy_counts_from_the_day_of_the_exam_to_day_180(labels, day, counts):
    assert labels(finding(asses="S", biopsy=day)) == ({"L": "POSITIVE"} if counts else {})


def test_the_hour_of_the_exam_does_not_shorten_the_days(labels):
    rows = finding(asses="S", biopsy="2017-01-01", study_date_anon="2017-01-01 15:00:00")
    assert labels(rows) == {"L": "POSITIVE"}


@pytest.mark.parametrize("order", [1, -1])
def test_one_positive_finding_makes_the_breast_positive(labels, order):
    rows = [finding(), finding(asses="A"), finding(asses="S", biopsy="2017-01-20")]
    assert labels(*rows[::order]) == {"L": "POSITIVE"}


def test_a_biopsy_belongs_to_its_own_finding(labels):
    # the suspicious finding was not biopsied, the other one was
    assert labels(finding(asses="S"), finding(asses="P", biopsy="2017-01-20")) == {}


def test_findings_stay_on_their_side(labels):
    rows = finding(side="L", asses="S", biopsy="2017-01-20"), finding(side="R")
    assert labels(*rows) == {"L": "POSITIVE", "R": "NEGATIVE"}
    assert labels(rows[0]) == {"L": "POSITIVE"}  # nothing is said of the other breast


@pytest.mark.parametrize("side", ["B", ""])
def test_a_finding_on_both_sides_is_of_both(labels, side):
    assert labels(finding(side=side)) == {"L": "NEGATIVE", "R": "NEGATIVE"}
    row = finding(side=side, asses="M", biopsy="2017-01-20")
    assert labels(row) == labels(row | {"bside": "B"}) == {"L": "POSITIVE", "R": "POSITIVE"}
    assert labels(row | {"bside": "R"}) == {"R": "POSITIVE"}


def test_a_biopsy_of_the_other_breast_does_not_count(labels):
    assert labels(finding(asses="S", biopsy="2017-01-20", bside="R"), finding(side="R")) == {
        "R": "NEGATIVE"
    }


def test_an_exam_is_matched_with_its_patient(labels):
    assert labels(finding(empi_anon="p2", asses="S", biopsy="2017-01-20"), finding()) == {
        "L": "NEGATIVE"
    }


def test_only_full_field_2d_images_are_listed(tmp_path):
    images = [
        image(view="CC"),
        image(view="MLO", spot_mag="0"),
        image(view="ML", spot_mag="1"),
        image(view="AT", spot_mag="1.0"),
        image(view="LM", FinalImageType="cview"),
        image(view="FB", FinalImageType="3D"),
        image(view="RL", ImageLateralityFinal=""),
    ]
    films = read_tables(write(tmp_path, [finding()], images))
    assert [(film.view, film.label) for film in films] == [("CC", "NEGATIVE"), ("MLO", "NEGATIVE")]


def test_films_carry_pseudonyms_and_their_place(tmp_path):
    repeats = [image(view="MLO", anon_dicom_path=f"./images/cohort_2/p1/a/b/{n}.dcm") for n in "21"]
    images = [*repeats, image(), image(view=""), image(view="Mlo id")]
    rows = [finding(), finding()]  # two findings do not make two films
    films = read_tables(write(tmp_path, rows, images))
    at = tmp_path / "images"
    assert films[0] == Film(
        id="p1_e1_L_CC",
        patient="p1",
        exam="e1",
        side="L",
        view="CC",
        label="NEGATIVE",
        path=at / "cohort_1" / "p1" / "1.2.20170101" / "1.3" / "e1LCC.dcm",
    )
    names = ["CC", "MLO", "MLO-2", "MLO-ID", "unknown"]
    assert [film.id for film in films] == [f"p1_e1_L_{name}" for name in names]
    assert [film.path for film in films[1:3]] == [at / f"cohort_2/p1/a/b/{n}.dcm" for n in "12"]
    assert read_tables(write(tmp_path, rows[::-1], images[::-1])) == films


def test_long_pseudonyms_stay_whole_and_tables_saved_as_floats_still_match(tmp_path):
    rows = [finding("e49322735616260491")]
    images = [image("e49322735616260491", acc_anon="e49322735616260491.0")]
    for row in rows + images:
        row |= {key: row[key].lstrip("ep") for key in ("empi_anon", "acc_anon")}
    (film,) = read_tables(write(tmp_path, rows, images))
    assert (film.patient, film.exam) == ("49322735616260491", "49322735616260491")


@pytest.mark.parametrize("table", [CLINICAL, METADATA])
def test_a_missing_an_empty_and_a_foreign_table_are_told(tmp_path, table):
    path = write(tmp_path, [finding()], [image()]) / "tables" / table
    whole = path.read_text(encoding="utf-8")
    path.write_text(whole.replace("acc_anon", "accession"), encoding="utf-8")
    with pytest.raises(DataError, match=rf"{table} has no column 'acc_anon'.*download it again"):
        read_tables(tmp_path)
    path.write_text(whole.splitlines()[0], encoding="utf-8")
    with pytest.raises(DataError, match=rf"{table} has no rows; download"):
        read_tables(tmp_path)
    for content in (b"", b"\xff\xfe\x00", b'a,b\n1,"2'):
        path.write_bytes(content)
        with pytest.raises(DataError, match=rf"{table} (cannot be read|has no column)"):
            read_tables(tmp_path)
    path.unlink()
    with pytest.raises(DataError, match=rf"no table .*{table}; download"):
        read_tables(tmp_path)


@pytest.mark.parametrize(
    "change, message",
    [
        ({"asses": "Q"}, "'Q' in the column asses, which is none of A, N, B, P, S, M, K, X"),
        ({"asses": "4"}, "'4' in the column asses"),
        ({"side": "left"}, "'left' in the column side, which is none of L, R, B"),
        ({"study_date_anon": "soon"}, r"date 'soon' \(study_date_anon\) of the exam e1"),
        ({"procdate_anon": "19/04/2017"}, r"date '19/04/2017' \(procdate_anon\)"),
        ({"procdate_anon": "2017-02-30"}, "date '2017-02-30'"),
        ({"asses": "S", "study_date_anon": "", "procdate_anon": "2017-02-03"}, "e1 .*no date"),
    ],
)
def test_a_code_or_a_date_that_cannot_be_read_is_told(tmp_path, change, message):
    write(tmp_path, [finding() | change, finding("e2")], [image(), image("e2")])
    with pytest.raises(DataError, match=rf"{message}.*download"):
        read_tables(tmp_path)


@pytest.mark.parametrize("path", ["", "1.dcm", f"{BASE}/../x.dcm", f"{BASE}/p1/x.png"])
def test_a_path_that_leads_elsewhere_is_refused(tmp_path, path):
    write(tmp_path, [finding()], [image(anon_dicom_path=path)])
    with pytest.raises(DataError, match="leads to no DICOM file below"):
        read_tables(tmp_path)


def test_an_image_is_of_one_breast(tmp_path):
    path = f"{BASE}/p1/a/b/1.dcm"
    rows = [image(anon_dicom_path=path), image(anon_dicom_path=path)]
    assert len(read_tables(write(tmp_path, [finding(side="B")], rows))) == 1
    write(tmp_path, [finding(side="B")], [rows[0], image(side="R", anon_dicom_path=path)])
    with pytest.raises(DataError, match=r"lists the image 1\.dcm for two exams"):
        read_tables(tmp_path)


def test_tables_that_share_no_breast_are_refused(tmp_path):
    with pytest.raises(DataError, match="of one release"):
        read_tables(write(tmp_path, [finding("e1")], [image("e2")]))
