"""Tables that do not fit their pipeline are refused, each column by its name."""

from typing import Any

import pytest

from plato_sas.plan.catalogue.tables import build_order, table_problems
from tests.support.catalogue import catalogue, sample_graph, tables_with


def problems(tables: list[dict[str, Any]]) -> list[str]:
    return table_problems(catalogue(tables=tables).spec, sample_graph())


def test_the_samples_fit() -> None:
    assert table_problems(catalogue().spec, sample_graph()) == []


@pytest.mark.parametrize(
    ("column", "problem"),
    [
        ({"step": "nope", "fact": "found"}, ".step: pipeline 'sas-test' has no step 'nope' (steps: fit, choose)"),
        ({"fact": "nope"}, ".fact: module 'fit' declares no fact 'nope' (facts: found, score)"),
        ({"output": "NOPE"}, ".output: module 'fit' has no output 'NOPE' (outputs: OUT_FIT)"),
        ({"step": "choose", "output": "PLOT"}, ".output: PLOT.png cannot be read: only .json, .h5, .hdf5"),
        (
            {"step": "choose", "fact": "mass", "unit": "kg"},
            ".unit: 'kg', but module 'choose' reports the fact in 'solMass'",
        ),
    ],
)
def test_a_column_that_no_step_makes(column: dict[str, Any], problem: str) -> None:
    assert problems(tables_with(**column)) == [f"spec.tables[DP5].columns[x]{problem}"]


@pytest.mark.parametrize(
    ("names", "told"),
    [
        (("Mass", "mass"), "spec.tables[DP5].columns[mass].name: is the same as 'Mass' (case is ignored)"),
        (("Star", "x"), "spec.tables[DP5].columns[star].name: is the same as 'Star' (case is ignored)"),
        (
            ("fit_key", "x"),
            "spec.tables[DP5].columns[fit_key].name: is the same as a column that is added to the table "
            "(case is ignored)",
        ),
    ],
)
def test_names_that_fits_would_confuse(names: tuple[str, ...], told: str) -> None:
    columns = [{"name": name, "step": "fit", "fact": "found"} for name in names]
    assert problems([{"name": "DP5", "columns": columns}]) == [told]


def test_tables_that_would_be_one_file() -> None:
    (table,) = tables_with(fact="found")
    told = "spec.tables[dp5].name: is the same as 'DP5' (case is ignored)"
    assert problems([table, {**table, "name": "dp5"}]) == [told]


def test_types_come_from_the_fact_or_the_column() -> None:
    order = build_order(catalogue(), sample_graph(), "r", "a")
    types = {column.name: column.type for table in order.tables for column in table.columns}
    assert types == {"found": "boolean", "score": "number", "mass": "number", "mass_err": "number", "grade": "integer"}
    assert {step.name: step.module for step in order.steps} == {"fit": "fit", "choose": "choose"}
