"""Target lists: reading real files of every format, checking their rows, making batches of them."""

import csv
import io
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from astropy.table import MaskedColumn, Table
from hypothesis import given
from hypothesis import strategies as st

from plato_sas_airflow.mission.targets import tables
from plato_sas_airflow.mission.targets.errors import TargetListError
from plato_sas_airflow.mission.targets.files import read_list, run_folder, write_bad_rows, write_batches
from plato_sas_airflow.mission.targets.planning import plan
from plato_sas_airflow.mission.targets.validation import Target, TargetList, Validator
from plato_sas_airflow.stars.files import read_stars

COLUMNS = ("star", "sample", "priority")
PRIORITIES = {"P1": 40, "P5": 10}


def stars_table() -> Table:
    """Four stars; the third has no sample, the last no priority."""
    return Table(
        {
            "star": ["kic-1", "kic-2", "kic-3", "kic-4"],
            "sample": MaskedColumn(["P1", "P5", "", "P5"], mask=[False, False, True, False]),
            "priority": MaskedColumn([7, -3, 0, 0], mask=[False, False, False, True], dtype="int32"),
            "magnitude": [8.1, 9.5, 10.2, 11.0],
        }
    )


def written(path: Path, form: str) -> str:
    if form == "csv":
        stars_table().write(path, format="ascii.csv")
    else:
        stars_table().write(path, format=form)
    return str(path)


def validated(content: str, samples: tuple[str, ...] = (), campaign: str = "Q1") -> TargetList:
    table = tables.read_table(content.encode(), "list.csv", "star", COLUMNS[1:])
    return Validator(table, COLUMNS, campaign, PRIORITIES, samples).validate("list.csv")


@pytest.mark.parametrize(
    ("form", "unit"),
    [("csv", "line"), ("fits", "row"), ("votable", "row"), ("ascii.ecsv", "row")],
)
def test_every_format_says_the_same_stars(tmp_path: Path, form: str, unit: str) -> None:
    path = written(tmp_path / "a-list-without-an-extension", form)
    table = read_list(path, "star", COLUMNS[1:])
    assert table.unit == unit
    found = Validator(table, COLUMNS, "Q1", PRIORITIES).validate(path)
    assert found.bad == []
    assert found.targets == [
        Target("kic-1", "P1", 7), Target("kic-2", "P5", -3), Target("kic-3", "", 0), Target("kic-4", "P5", 10),
    ]  # fmt: skip


@pytest.mark.parametrize("form", ["fits", "votable"])
def test_identifiers_may_be_whole_numbers_and_column_names_in_capitals(tmp_path: Path, form: str) -> None:
    path = tmp_path / "list"
    Table({"STAR": np.array([6603624, 8006161], dtype="int64")}).write(path, format=form)
    table = read_list(str(path), "star", COLUMNS[1:])
    assert table.columns == ("star",)
    found = Validator(table, COLUMNS, "Q1").validate("list")
    assert [one.star for one in found.targets] == ["6603624", "8006161"]


def test_a_number_with_a_fraction_is_no_identifier(tmp_path: Path) -> None:
    path = tmp_path / "list"
    Table({"star": [1.5, float("nan")]}).write(path, format="fits")
    found = Validator(read_list(str(path), "star"), COLUMNS, "Q1").validate("list")
    assert [(one.number, one.star) for one in found.bad] == [(1, "1.5"), (2, "")]


def test_bad_rows_are_told_by_their_line_and_the_good_ones_go_on() -> None:
    found = validated(
        "# a comment counts as a line\n"
        "star,sample,priority\n"
        "kic-1,P1,\n"
        "../../etc,P1,\n"
        "\n"
        "kic-2,P1,high\n"
        "kic-3,P1,5000\n"
        ",P1,\n"
        "kic-1,P5,\n"
        "kic-4,a/b,\n"
        "kic-5,P5\n"
        "kic-6,P5,10.0\n"
    )
    assert found.targets == [Target("kic-1", "P1", 40), Target("kic-6", "P5", 10)]
    told = {one.number: one.problem for one in found.bad}
    assert sorted(told) == [4, 6, 7, 8, 9, 10, 11]
    assert told[4].startswith("star: ")
    assert told[6] == "priority 'high' is not a whole number"
    assert told[7].startswith("priority: ")
    assert told[8] == "star is empty"
    assert told[9] == "is already in line 3"
    assert told[10] == "sample 'a/b' is not 1 to 16 letters, digits, dots, - and _"
    assert told[11] == "2 cells, but the header has 3"
    assert found.problems(2) == [
        f"line 4: ../../etc: {told[4]}",
        "line 6: kic-2: priority 'high' is not a whole number",
        "and 5 more",
    ]


def test_stars_that_would_share_a_resource_are_told_apart() -> None:
    found = validated("star\nKIC1\nkic1\n")
    assert [one.star for one in found.targets] == ["KIC1"]
    assert [one.problem for one in found.bad] == ["would be the same StarProcessing as KIC1 in line 2"]


def test_other_samples_are_counted_and_not_bad() -> None:
    found = validated("star,sample\na,P1\nb,P5\nc,P5\n", samples=("P5",))
    assert [one.star for one in found.targets] == ["b", "c"]
    assert (found.others, list(found.bad)) == (1, [])
    assert found.text() == "list.csv: 2 stars, 0 lines that are not valid, 1 of other samples"


def test_too_many_bad_rows_stop_the_run() -> None:
    found = validated("star\n" + "".join(f"s{number}\n" for number in range(99)) + "no good\n")
    found.require_sound(0.01)
    with pytest.raises(
        TargetListError, match=r"list.csv: 1 of 100 lines are not valid, and 0.90% are accepted: line 101"
    ):
        found.require_sound(0.009)


def test_a_list_without_a_good_star_stops_the_run() -> None:
    with pytest.raises(TargetListError, match=r"no star in it to process: line 2: -: star: "):
        validated("star\n-\n").require_sound(1.0)
    with pytest.raises(TargetListError, match=r"there is no star in it to process$"):
        validated("star\n").require_sound(1.0)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no column 'star'; its columns: there is none"),
        (b"name,sample\nkic-1,P1\n", "no column 'star'; its columns: name, sample"),
        (b"star,star\na,b\n", "'star' exists more than once"),
        (b"\x00\xff\xfe", "neither FITS, VOTable, ECSV nor UTF-8 text"),
        (b"SIMPLE  = this is no FITS", "not readable as FITS"),
        (b"<?xml version='1.0'?><VOTABLE><broken", "not readable as VOTable"),
        (b"<VOTABLE/>", "not readable as VOTable"),
        (b"# %ECSV 1.0\n# broken\n", "not readable as ECSV"),
        (b'star\n"' + b"x" * 200_000 + b'"\n', "line 2: field larger"),
    ],
)
def test_a_file_that_is_no_list_is_named(content: bytes, message: str) -> None:
    with pytest.raises(TargetListError, match=rf"^list.x: .*{message}"):
        tables.read_table(content, "list.x", "star")


def test_a_truncated_fits_file_is_named(tmp_path: Path) -> None:
    path = tmp_path / "list.fits"
    written(path, "fits")
    path.write_bytes(path.read_bytes()[:4000])
    with pytest.raises(TargetListError, match=r"list\.fits: not readable as FITS"):
        read_list(str(path), "star")


def test_a_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(TargetListError, match=r"absent\.csv: FileNotFoundError"):
        read_list(str(tmp_path / "absent.csv"), "star")


@given(st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0\r\n"), max_size=20), max_size=20))
def test_whatever_a_csv_says_every_row_is_good_or_told(values: list[str]) -> None:
    text = io.StringIO()
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerow(["star", "x"])
    writer.writerows([value, "1"] for value in values)
    found = validated(text.getvalue())
    for target in found.targets:
        assert target.star in {value.strip() for value in values}
    assert len({target.star for target in found.targets}) == len(found.targets)


def targets(counts: dict[tuple[str, int], int]) -> list[Target]:
    return [
        Target(f"{sample}-{priority}-{number}", sample, priority)
        for (sample, priority), count in counts.items()
        for number in range(count)
    ]


def test_batches_have_one_sample_and_one_priority_and_the_highest_comes_first() -> None:
    batches = plan(targets({("P5", 10): 5, ("P1", 40): 3, ("", 10): 1}), 2, 500)
    assert [(one.name, len(one.stars)) for one in batches] == [
        ("0001-P1-40", 2), ("0002-P1-40", 1), ("0003-stars-10", 1), ("0004-P5-10", 2), ("0005-P5-10", 2),
        ("0006-P5-10", 1),
    ]  # fmt: skip
    assert batches[0].stars == ("P1-40-0", "P1-40-1")


@given(
    st.dictionaries(st.tuples(st.sampled_from(["P1", "P5", ""]), st.integers(-3, 3)), st.integers(0, 30)),
    st.integers(1, 9),
)
def test_every_star_is_in_exactly_one_batch(counts: dict[tuple[str, int], int], size: int) -> None:
    wanted = targets(counts)
    batches = plan(wanted, size, 10_000)
    assert sorted(star for one in batches for star in one.stars) == sorted(target.star for target in wanted)
    assert all(1 <= len(one.stars) <= size for one in batches)
    assert [one.priority for one in batches] == sorted((one.priority for one in batches), reverse=True)


def test_a_quarter_of_a_million_stars_are_at_most_500_batches() -> None:
    mission = {("P1", 40): 15_000, ("P2", 30): 1_000, ("P4", 20): 5_000, ("P5", 10): 229_000}
    batches = plan(targets(mission), 1000, 500)
    assert sum(len(one.stars) for one in batches) == 250_000
    assert len(batches) == 250


def test_too_many_batches_are_refused_with_what_to_change() -> None:
    with pytest.raises(TargetListError, match=r"101 batches of at most 1, and max_batches is 100: raise batch_size"):
        plan(targets({("P1", 1): 101}), 1, 100)


def test_a_batch_file_is_what_the_batch_operator_reads(tmp_path: Path) -> None:
    batches = plan(targets({("P1", 40): 3, ("P5", 10): 1}), 2, 500)
    paths = write_batches(f"{tmp_path}/run", batches)
    assert [Path(path).name for path in paths] == ["0001-P1-40.csv", "0002-P1-40.csv", "0003-P5-10.csv"]
    assert [tuple(star.name for star in read_stars(path)) for path in paths] == [one.stars for one in batches]


def test_bad_rows_are_written_down(tmp_path: Path) -> None:
    found = validated('star\nkic-1\n"no, good"\n')
    path = write_bad_rows(f"{tmp_path}/x/bad.csv", found.unit, found.bad)
    rows = list(csv.DictReader(Path(path).read_text().splitlines()))
    assert [(row["line"], row["star"]) for row in rows] == [("3", "no, good")]
    assert rows[0]["problem"].startswith("star: ")


def test_every_run_has_a_folder_of_its_own() -> None:
    one, other = (run_folder("/work", "dag", run) for run in ("manual__2026-11-23T03:41:26+00:00", "manual__x"))
    assert one.startswith("/work/dag/manual__2026-11-23T03-41-26-00-00-")
    assert other.startswith("/work/dag/manual__x-")
    assert run_folder("/work/", "dag", "a/../b").count("/") == 3
    assert run_folder("/work", "dag", "a/b") != run_folder("/work", "dag", "a+b")


def test_astropy_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    import builtins

    real = builtins.__import__

    def missing(name: str, *args: Any, **kwargs: Any) -> Any:
        if name.startswith("astropy"):
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", missing)
    with pytest.raises(TargetListError, match="list: FITS needs astropy, which is not installed"):
        tables.read_table(b"SIMPLE  =", "list", "star")


# Damaged lists: every line is a star, or is told


def three_thousand(change: dict[int, str]) -> str:
    """A list with remarks; `change`: the remark of some lines (the header is line 1)."""
    lines = (f"kic-{number},P1,{change.get(number + 1, 'no remark')}" for number in range(1, 3001))
    return "star,sample,remark\n" + "".join(f"{line}\n" for line in lines)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({1001: '"bright neighbour'}, "a quoted cell that begins in line 1001: unexpected end of data"),
        ({1001: '"bright', 2001: 'see 1000"'}, "a quoted cell that begins in line 1001 goes on to line 2001"),
        ({1001: '"bright" neighbour'}, "line 1001: ',' expected after"),
        ({1001: '"two\nlines"'}, "a quoted cell that begins in line 1001 goes on to line 1002"),
    ],
)
def test_a_stray_quote_swallows_no_star(change: dict[int, str], message: str) -> None:
    with pytest.raises(TargetListError, match=re.escape(message)):
        validated(three_thousand(change))


@pytest.mark.parametrize(
    "remark", ['a 15" guide star', "it's", '"quoted, with a comma"', '"so ""called"""', "a\u2028b\x0b"]
)
def test_a_quote_in_its_place_harms_nobody(remark: str) -> None:
    found = validated(three_thousand({1001: remark}))
    assert (len(found.targets), found.bad) == (3000, [])


def test_a_row_with_other_cells_is_left_out_and_told_by_its_line() -> None:
    found = validated(three_thousand({1001: "a, comma"}))
    assert len(found.targets) == 2999
    assert [(one.number, one.problem) for one in found.bad] == [(1001, "4 cells, but the header has 3")]


def test_a_list_whose_end_is_cut_off_is_refused() -> None:
    whole = three_thousand({})
    with pytest.raises(TargetListError, match=r"line 3001: 2 cells.*cut off"):
        validated(whole[: -len(",no remark\n")])
    assert len(validated(whole.rstrip("\n")).targets) == 3000, "an editor may leave the last line break out"


@given(st.text(alphabet='ab1,"\n\r #\u2028', max_size=60))
def test_every_line_is_a_star_or_told(text: str) -> None:
    try:
        found = validated("star,remark\n" + text)
    except TargetListError:
        return
    lines = [line for line in io.StringIO(text, newline=None) if line.strip() and not line.startswith("#")]
    assert len(found.targets) + len(found.bad) == len(lines)
