"""Which steps do not run, and why."""

from typing import NamedTuple

from plato_sas.api import StepState
from plato_sas.plan.graph.graph import Graph, GraphStep
from plato_sas.plan.graph.when import Condition, EvaluationFailed
from plato_sas.plan.messages import MAX_MESSAGE, beginning
from plato_sas.plan.star.ledger import Ledger
from plato_sas.plan.star.rerun import UPSTREAM_FAILED
from plato_sas.plan.star.stages import present


class NotRun(NamedTuple):
    """The end of a step that does not run: Skipped, or Failed where its condition has no value."""

    reason: str
    message: str
    state: StepState = StepState.SKIPPED


def skip(ledger: Ledger, graph: Graph, now: str) -> None:
    """End the steps that can no longer run; in topological order, so that a skip reaches everything downstream.

    A step waits until everything upstream is final, so that its reason does not depend on which step finished first.
    """
    for step in graph.steps:
        status = ledger.steps[step.name]
        if status.state is not StepState.PENDING or step.name in ledger.in_flight:
            continue
        if not all(ledger.steps[name].state.final for name in step.upstream):
            continue
        found = reason_to_skip(step, ledger)
        if found is not None:
            message = found.message[:MAX_MESSAGE]
            ledger.update(step.name, state=found.state, reason=found.reason, message=message, finished_at=now)


def reason_to_skip(step: GraphStep, ledger: Ledger) -> NotRun | None:
    """How the step ends, judged by the upstream steps that are final; None if nothing keeps it from running yet."""
    final = {name for name in step.upstream if ledger.steps[name].state.final}
    for name in sorted(final):
        upstream = ledger.steps[name]
        failed = upstream.state in (StepState.FAILED, StepState.CANCELLED)
        if failed or upstream.reason == UPSTREAM_FAILED:
            # Even an optional input is not left out if its producer failed: the result would silently differ.
            return NotRun(UPSTREAM_FAILED, f"step {name} did not succeed")
    if step.when is not None and step.when.steps <= final:
        found = _judged(step.when, ledger)
        if found is not None:
            return found
    for one in step.inputs:
        if not one.optional and one.step in final and not present(one, ledger.steps):
            return NotRun("InputAbsent", f"input {one.name}: step {one.step} made none")
    return None


def _judged(when: Condition, ledger: Ledger) -> NotRun | None:
    value = when.evaluate(ledger.facts)
    where = f"when: {beginning(when.expression, MAX_MESSAGE // 2)}"
    if isinstance(value, EvaluationFailed):
        return NotRun("WhenFailed", f"{where}: {value.message}", StepState.FAILED)
    if value is None:
        return NotRun("FactAbsent", f"{where}: not reported: {', '.join(when.absent(ledger.facts))}")
    return None if value else NotRun("ConditionFalse", where)
