"""Reruns: the steps concerned are Pending again; their products stay until new ones replace them."""

from collections.abc import Iterable

from plato_sas.api import Rerun, StarProcessing, StepState, StepStatus
from plato_sas.jobs.attempt import Attempt
from plato_sas.plan.graph.graph import Graph
from plato_sas.plan.star.ledger import Ledger

UPSTREAM_FAILED = "UpstreamFailed"


def wanted(processing: StarProcessing) -> Rerun | None:
    """The rerun that has yet to be taken up."""
    rerun = processing.spec.rerun
    return rerun if rerun is not None and rerun.id > (processing.status.rerun or 0) else None


def take_up(ledger: Ledger, graph: Graph, rerun: Rerun, same_graph: bool, attempts: Iterable[Attempt]) -> None:
    """Reset the steps that a rerun concerns; all steps if the graph has changed.

    A step for which nothing has changed is reused later. A Job that runs one of these steps, or would run it later, is
    stopped, because the step is Pending under that attempt's number.
    """
    numbers: dict[str, int] = {}
    for one in attempts:
        for name, number in one.numbers.items():
            numbers[name] = max(number, numbers.get(name, 0))
    for name in _concerned(ledger, graph, rerun, same_graph):
        old = ledger.steps[name]
        attempt = max(old.attempt, numbers.get(name, 0))
        # The digest says that there are products, which may turn out to be what the rerun would make.
        ledger.steps[name] = StepStatus(name=name, state=StepState.PENDING, attempt=attempt, digest=old.digest)
        ledger.facts.pop(name, None)


def _concerned(ledger: Ledger, graph: Graph, rerun: Rerun, same_graph: bool) -> frozenset[str]:
    if rerun.from_steps and same_graph:
        return graph.downstream(rerun.from_steps)
    if rerun.failed and same_graph:
        failed = [name for name, step in ledger.steps.items() if _unsuccessful(step)]
        return graph.downstream(failed)
    return frozenset(ledger.steps)


def _unsuccessful(step: StepStatus) -> bool:
    if step.state in (StepState.FAILED, StepState.CANCELLED):
        return True
    return step.state is StepState.SKIPPED and step.reason == UPSTREAM_FAILED
