"""The reference pages are as the code says, and the code says something about everything in them."""

from pathlib import Path

import pytest
import yaml

from docs.reference import generate
from plato_sas.api import reasons
from plato_sas_airflow.settings import Settings


def test_the_pages_are_current() -> None:
    assert generate.main(["--check"]) == 0, "run `make generate`"


def test_every_page_of_the_folder_is_generated() -> None:
    assert {path.name for path in generate.FOLDER.glob("*.md")} == set(generate.pages())


def test_a_stale_page_is_named_and_then_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert generate.main([], tmp_path) == 0
    assert generate.main(["--check"], tmp_path) == 0
    (tmp_path / "metrics.md").write_text("# Metrics\n")
    (tmp_path / "reasons.md").unlink()
    assert generate.main(["--check"], tmp_path) == 1
    told = capsys.readouterr().err
    assert [line.split()[0] for line in told.splitlines()] == ["docs/reference/metrics.md", "docs/reference/reasons.md"]
    assert generate.main([], tmp_path) == 0
    assert generate.main(["--check"], tmp_path) == 0


def rows(page: str) -> list[list[str]]:
    """The cells of every row of a page's tables, without heads."""
    lines = [line for line in generate.pages()[page].splitlines() if line.startswith("| `")]
    return [[cell.strip() for cell in line.strip("|").replace("\\|", "/").split("|")] for line in lines]


@pytest.mark.parametrize("page", ["airflow-settings.md", "chart-values.md", "metrics.md", "resources.md"])
def test_everything_is_described(page: str) -> None:
    column = 1 if page == "airflow-settings.md" else -1
    assert rows(page)
    assert [row[0] for row in rows(page) if not row[column]] == []


def test_the_values_of_the_chart_are_all_there_with_their_defaults() -> None:
    values = yaml.safe_load((generate.CHART / "values.yaml").read_text())
    listed = {row[0].strip("`"): row[1].strip("`") for row in rows("chart-values.md")}
    leaves = {path: default for path, default in listed.items() if default}
    for path, default in leaves.items():
        found = values
        for key in path.split("."):
            found = found[key]
        assert yaml.safe_load(default) == found, path
    assert {path.split(".")[0] for path in listed} == set(values)


def test_values_with_the_same_schema_share_a_comment_and_limits_are_those_of_the_schema() -> None:
    source = "# Both.\na:\n  # A size.\n  size: 1\n# Other.\nb:\n  size: {}\n"
    schema = {
        "definitions": {"one": {"properties": {"size": {"minimum": 1, "maximum": 9}}}},
        "properties": {"a": {"$ref": "#/definitions/one"}, "b": {"$ref": "#/definitions/one"}},
    }
    assert list(generate.ChartValues(source, schema).rows()) == [
        ("a", "", "Both."),
        ("a.size", "1", "A size. 1 to 9."),
        ("b", "", "Other."),
        ("b.size", "{}", "A size. 1 to 9."),
    ]


def test_the_settings_of_airflow_are_its_table() -> None:
    assert Settings.table() in generate.pages()["airflow-settings.md"]


def test_exit_codes_are_classified_as_the_operator_does() -> None:
    told = {row[0]: (row[1], row[2]) for row in _exit_codes()}
    assert told["75"] == ("`TemporaryFailure`", "Temporary")
    assert told["137, 143"] == ("`ContainerStopped`", "Infrastructure")
    assert told["137, if out of memory"] == ("`OOMKilled`", "OutOfMemory")
    assert told["1 to 74, 76 to 136, 138 to 142, 144 to 255"] == ("`ModuleFailed`", "Science")


def _exit_codes() -> list[list[str]]:
    text = generate.pages()["exit-codes.md"].partition("## The operator")[0]
    lines = [line for line in text.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


def test_no_reason_is_listed_twice_in_a_table() -> None:
    groups = ("ACCEPTED", "COMPLETE", "CATALOGUE", "SKIPPED", "CANCELLED", "FAILED", "HELD_UP", "UNPUBLISHED", "EVENTS")
    for group in groups:
        listed = [one.name for one in getattr(reasons, group)]
        assert len(listed) == len(set(listed)), group


def test_prose_is_safe_in_a_cell() -> None:
    assert generate.text("a |\n b of <name> and `<name>.h5` *") == "a \\| b of &lt;name> and `<name>.h5` \\*"
