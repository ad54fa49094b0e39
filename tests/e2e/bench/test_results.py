"""Results, their files, and the page made of them."""

import json
from pathlib import Path

import pytest

from e2e.bench.report import report
from e2e.bench.report.result import Bar, Figure, Result, document, read_all, write

MACHINE = {"cores": 2, "kernel": "6.1"}


def result(figure: float = 1.5, further: float = 7.0) -> Result:
    return Result(
        name="scale",
        title="stars",
        figure=figure,
        unit="stars/s",
        bar=Bar(">=", 1.0),
        compared_with={"by hand": 3.25},
        further=[Figure("writes", further, "", Bar("<=", 8.0)), Figure("shown only", 1.0, "s")],
    )


def stored(one: Result, *, quick: bool = False) -> dict[str, object]:
    return document(one, started="2026-01-01T00:00:00Z", machine=MACHINE, versions={"python": "3"}, quick=quick)


@pytest.mark.parametrize(
    ("relation", "figure", "met"),
    [("<=", 2.0, True), ("<=", 2.1, False), ("<", 2.0, False), (">=", 2.0, True), (">=", 1.9, False)],
)
def test_a_bar(relation: str, figure: float, met: bool) -> None:
    assert Bar(relation, 2.0).met(figure) is met  # type: ignore[arg-type]


def test_one_missed_bar_is_enough() -> None:
    assert result().met
    assert not result(further=9.0).met
    assert not result(figure=0.5).met


def test_a_file_has_what_a_reader_needs(tmp_path: Path) -> None:
    file = write(stored(result(further=9.0)), tmp_path)
    content = json.loads(file.read_text())
    assert file == tmp_path / "scale.json"
    assert content["bar"] == ">= 1"
    assert (content["figureMet"], content["met"]) == (True, False)
    assert content["further"][0] == {"name": "writes", "value": 9.0, "unit": "", "bar": "<= 8", "met": False}
    assert content["machine"] == MACHINE
    assert read_all(tmp_path).keys() == {"scale"}


def test_the_table_tells_what_was_missed() -> None:
    lines = report.table({"scale": stored(result(further=9.0))})
    assert "| stars | 1.5 stars/s | >= 1 | yes |" in lines
    assert "| - writes | 9 | <= 8 | **no** |" in lines
    assert "| - by hand | 3.25 |  |  |" in lines


def test_the_order_is_the_specifications() -> None:
    found = {name: {"name": name} for name in ("zebra", "scale", "fused")}
    assert [one["name"] for one in report.ordered(found)] == ["fused", "scale", "zebra"]


def test_only_what_is_between_the_markers_is_replaced() -> None:
    page = f"# Title\n{report._BEGIN}\nold\n{report._END}\nrest\n"
    assert report.replaced(page, "new\n") == f"# Title\n{report._BEGIN}\nnew\n{report._END}\nrest\n"


def test_a_page_without_markers_is_left_alone() -> None:
    with pytest.raises(report.ReportError, match="once each"):
        report.replaced("# Title\n", "new")
