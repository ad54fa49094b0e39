"""A run reads one delivery of each external product: whatever is published was made from the same file.

Stage-in and publish compare with what the steps before have read. Steps that start side by side cannot: each may find
another delivery, and this is seen here, when they report.
"""

from collections.abc import Collection, Iterable, Mapping

from plato_sas.api import StepState, StepStatus
from plato_sas.jobs.attempt import Attempt
from plato_sas.jobs.failure import Failure, FailureClass
from plato_sas.plan.graph.graph import Graph, GraphStep
from plato_sas.plan.star.ledger import Ledger

_USING = (StepState.RUNNING, StepState.PUBLISHING)


def still_read(graph: Graph, statuses: Mapping[str, StepStatus], read: Mapping[str, str]) -> dict[str, str]:
    """The digests of external products that a product, or a step under way, was made from.

    Others may be delivered anew: whatever was made from them is made again.
    """
    used = _in_use(graph, statuses, ())
    return {name: digest for name, digest in read.items() if name in used}


def forget(ledger: Ledger, graph: Graph, steps: Iterable[GraphStep]) -> None:
    """Drop the digests that these steps, about to start, are free to replace."""
    kept = still_read(graph, ledger.steps, ledger.inputs)
    for name in {one.external for step in steps for one in step.inputs if one.external}:
        if name not in kept:
            ledger.inputs.pop(name, None)


def record(ledger: Ledger, graph: Graph, attempt: Attempt) -> None:
    """Record what the attempt has read, except for what others have read in another delivery."""
    other = _other_deliveries(ledger, graph, attempt)
    ledger.inputs.update({name: digest for name, digest in attempt.inputs.items() if name not in other})


def mismatch(ledger: Ledger, graph: Graph, attempt: Attempt, step: GraphStep) -> Failure | None:
    """The failure of a step that has read another delivery than the others."""
    other = _other_deliveries(ledger, graph, attempt)
    names = sorted(one.external for one in step.inputs if one.external in other)
    if not names:
        return None
    name = names[0]
    found = f"has SHA-256 {attempt.inputs[name]}, but other steps of this run have read {ledger.inputs[name]}"
    message = f"{name} {found}: it was delivered anew meanwhile"
    return Failure(FailureClass.SCIENCE, "ChecksumMismatch", message, step.name)


def _other_deliveries(ledger: Ledger, graph: Graph, attempt: Attempt) -> set[str]:
    used = _in_use(graph, ledger.steps, attempt.numbers)
    known = {name: ledger.inputs[name] for name in used if name in ledger.inputs}
    return {name for name, digest in attempt.inputs.items() if known.get(name, digest) != digest}


def _in_use(graph: Graph, statuses: Mapping[str, StepStatus], besides: Collection[str]) -> set[str]:
    """The external products that a step has been made from, or is being made from, `besides` these steps."""
    return {
        one.external
        for step in graph.steps
        for one in step.inputs
        if one.external and step.name not in besides
        if statuses[step.name].state.published or statuses[step.name].state in _USING
    }
