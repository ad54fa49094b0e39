"""Read the candidates, choose, write the DP5 products and the record of the choice."""

import sys

from msap5_34 import NAME, VERSION
from msap5_34.selection import QUANTITIES, Selection, select
from sas_products import Column, Step, run, write_product

METADATA = "DP5_SAS_METADATA"


def main(step: Step) -> None:
    """Run the module once. A star without candidates is a normal end: the record says so."""
    limit = step.number("max_relative_uncertainty")
    selections: dict[str, Selection] = {}
    for quantity in QUANTITIES:
        candidates = {ident: step.read_scalar(ident) for ident in quantity.candidates if step.input(ident)}
        selection = select(quantity, candidates, limit)
        selections[quantity.name] = selection
        print(f"{NAME}: {quantity.name.lower()}: {selection.reason}")
        if selection.scalar is not None:
            step.write_scalars(f"DP5_SAS_{quantity.name}", selection.scalar, source=selection.source)
    published = {name: chosen.scalar.value for name, chosen in selections.items() if chosen.scalar is not None}
    write_metadata(step, selections, bool(published))
    step.write_facts({"dp5_published": bool(published), **{name.lower(): value for name, value in published.items()}})


def write_metadata(step: Step, selections: dict[str, Selection], published: bool) -> None:
    """For every quantity whether it was published, from what, and why."""
    content: dict[str, Column] = {"published": Column(published)}
    attributes: dict[str, str | int | float | bool] = {}
    for name, selection in selections.items():
        content[f"{name.lower()}_published"] = Column(selection.scalar is not None)
        attributes[f"{name.lower()}_source"] = selection.source
        attributes[f"{name.lower()}_reason"] = selection.reason
    write_product(step.output(f"{METADATA}.h5"), METADATA, content, step.attributes(attributes))


if __name__ == "__main__":
    sys.exit(run(main, module=NAME, version=VERSION))
