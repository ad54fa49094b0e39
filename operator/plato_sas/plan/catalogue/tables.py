"""Check a catalogue's tables against its pipeline, beyond the CRD's schema, and build the collector's order."""

from collections.abc import Iterator
from math import ceil

from plato_sas.api import CatalogueColumn, CatalogueTable, StarCatalogue, StarCatalogueSpec, ValueType, amount
from plato_sas.collector.order import (
    DEFAULT_POINTER,
    PROVENANCE,
    READABLE,
    CatalogueOrder,
    ColumnOrder,
    StepOrder,
    TableOrder,
    provenance_column,
)
from plato_sas.plan.graph.graph import Graph, GraphStep

# The order is one environment variable, which Linux limits to 128 KiB (MAX_ARG_STRLEN).
MAX_ORDER = 96 * 1024
_FEWEST_PROCESSES = 2  # one waits for the volume while another computes
_MOST_PROCESSES = 32


def table_problems(spec: StarCatalogueSpec, graph: Graph) -> list[str]:
    """All problems of the tables, each naming its column; empty if they can be made."""
    found = _repeated("spec.tables", [table.name for table in spec.tables])
    for table in spec.tables:
        where = f"spec.tables[{table.name}]"
        found += _repeated(f"{where}.columns", list(_names(table)))
        for column in table.columns:
            found += _column_problems(f"{where}.columns[{column.name}]", column, graph)
    return found


def build_order(catalogue: StarCatalogue, graph: Graph, revision: str, attempt: str) -> CatalogueOrder:
    """Build the order for the collector; the tables must have no problems."""
    spec = catalogue.spec
    steps = list(dict.fromkeys(column.step for table in spec.tables for column in table.columns))
    return CatalogueOrder(
        name=catalogue.metadata.name,
        campaign=spec.campaign,
        pipeline=spec.pipeline,
        revision=revision,
        attempt=attempt,
        processes=min(_MOST_PROCESSES, max(_FEWEST_PROCESSES, ceil(amount(spec.resources.cpu)))),
        steps=[StepOrder(name, graph.step(name).module_name) for name in steps],
        tables=[
            TableOrder(table.name, [_ordered(column, graph) for column in table.columns], table.description)
            for table in spec.tables
        ],
        stars=list(spec.stars or []),
    )


def _names(table: CatalogueTable) -> Iterator[str]:
    """The names of the declared columns and of those added to every table."""
    yield from (column.name for column in table.columns)
    yield "star"
    for step in dict.fromkeys(column.step for column in table.columns):
        yield from (provenance_column(step, what) for what in PROVENANCE)


def _repeated(where: str, names: list[str]) -> list[str]:
    """Names that are equal to FITS, which ignores case."""
    seen: dict[str, str] = {}
    problems = []
    for name in names:
        other = seen.setdefault(name.lower(), name)
        if other is not name or names.count(name) > 1:
            same = f"{other!r}" if other != name else "a column that is added to the table"
            problems.append(f"{where}[{name}].name: is the same as {same} (case is ignored)")
    return list(dict.fromkeys(problems))


def _column_problems(where: str, column: CatalogueColumn, graph: Graph) -> list[str]:
    step = next((one for one in graph.steps if one.name == column.step), None)
    if step is None:
        known = ", ".join(one.name for one in graph.steps)
        return [f"{where}.step: pipeline {graph.name!r} has no step {column.step!r} (steps: {known})"]
    return _fact_problems(where, column, step) if column.fact is not None else _output_problems(where, column, step)


def _fact_problems(where: str, column: CatalogueColumn, step: GraphStep) -> list[str]:
    fact = next((one for one in step.module.facts if one.name == column.fact), None)
    if fact is None:
        known = ", ".join(one.name for one in step.module.facts) or "none"
        return [f"{where}.fact: module {step.module_name!r} declares no fact {column.fact!r} (facts: {known})"]
    if fact.unit is not None and column.unit is not None and fact.unit != column.unit:
        return [f"{where}.unit: {column.unit!r}, but module {step.module_name!r} reports the fact in {fact.unit!r}"]
    return []


def _output_problems(where: str, column: CatalogueColumn, step: GraphStep) -> list[str]:
    output = next((one for one in step.module.outputs if one.name == column.output), None)
    if output is None:
        known = ", ".join(one.name for one in step.module.outputs)
        return [f"{where}.output: module {step.module_name!r} has no output {column.output!r} (outputs: {known})"]
    if not output.file_name.endswith(READABLE):
        return [f"{where}.output: {output.file_name} cannot be read: only {', '.join(READABLE)}"]
    return []


def _ordered(column: CatalogueColumn, graph: Graph) -> ColumnOrder:
    if column.fact is not None:
        facts = {one.name: one.type for one in graph.step(column.step).module.facts}
        kind = facts[column.fact]
    else:
        kind = column.type or ValueType.NUMBER
    return ColumnOrder(
        column.name,
        kind.value,
        column.step,
        fact=column.fact,
        output=column.output,
        pointer=column.pointer or DEFAULT_POINTER,
        unit=column.unit,
        description=column.description,
    )
