"""Which steps do not run, and why: they are skipped, or have failed if their `when` has no value."""

from plato_sas.api import StepState
from plato_sas.plan.graph.graph import Graph, GraphStep
from plato_sas.plan.graph.when import ConditionFailed
from plato_sas.plan.messages import MAX_MESSAGE
from plato_sas.plan.star.ledger import Ledger
from plato_sas.plan.star.rerun import UPSTREAM_FAILED
from plato_sas.plan.star.stages import present

WHEN_FAILED = "WhenFailed"


def skip(ledger: Ledger, graph: Graph, now: str) -> None:
    """Skip the steps that can no longer run; in topological order, so that a skip reaches everything downstream.

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
            reason, message = found
            state = StepState.FAILED if reason == WHEN_FAILED else StepState.SKIPPED
            ledger.update(step.name, state=state, reason=reason, message=message[:MAX_MESSAGE], finished_at=now)


def reason_to_skip(step: GraphStep, ledger: Ledger) -> tuple[str, str] | None:
    """Reason and message, judged by the upstream steps that are final; None if there is none yet."""
    final = {name for name in step.upstream if ledger.steps[name].state.final}
    for name in sorted(final):
        upstream = ledger.steps[name]
        failed = upstream.state in (StepState.FAILED, StepState.CANCELLED)
        if failed or upstream.reason == UPSTREAM_FAILED:
            # Even an optional input is not left out if its producer failed: the result would silently differ.
            return UPSTREAM_FAILED, f"step {name} did not succeed"
    if step.when is not None and step.when.steps <= final:
        try:
            value = step.when.evaluate(ledger.facts)
        except ConditionFailed as error:
            return WHEN_FAILED, f"when: {step.when.expression}: {error}"
        if value is None:
            return "FactAbsent", f"when: {step.when.expression}: a fact it needs was not reported"
        if not value:
            return "ConditionFalse", f"when: {step.when.expression}"
    for one in step.inputs:
        if not one.optional and one.step in final and not present(one, ledger.steps):
            return "InputAbsent", f"input {one.name}: step {one.step} made none"
    return None
