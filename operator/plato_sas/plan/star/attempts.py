"""What the observed Jobs mean for the steps: the live state under an active Job, the outcome of a finished one.

A Job may run several steps. While it is active, its pod shows the progress of each; once it has finished, `outcomes`
decides what follows for each step. An active Job is stray if one of its steps no longer belongs to it, because the star
was stopped or a rerun has reset the step. A stray Job is stopped, and its steps wait until it is gone.
"""

from collections.abc import Iterable

from plato_sas.api import StepState
from plato_sas.jobs.attempt import Attempt
from plato_sas.jobs.failure import Failure, FailureClass
from plato_sas.plan.graph.graph import Graph
from plato_sas.plan.messages import MAX_MESSAGE
from plato_sas.plan.overdue import overdue
from plato_sas.plan.retries import after_failure
from plato_sas.plan.star import deliveries
from plato_sas.plan.star.ledger import Ledger
from plato_sas.plan.star.outcomes import Outcome, is_news, left_behind, sound, started, take_back


def fold(ledger: Ledger, graph: Graph, attempts: Iterable[Attempt], now: str) -> None:
    """Bring the observed Jobs into the ledger."""
    ordered = sorted(attempts, key=lambda one: (one.created_at, one.salvage, one.job))
    finished = [one for one in ordered if not one.active]
    ledger.recorded += [one for one in finished if not any(is_news(ledger, one, name) for name in one.numbers)]
    outcomes: list[Outcome] = []
    for attempt in finished:
        outcomes.append(Outcome(ledger, graph, attempt, attempt.finished_at or now))
        # The judgement on an earlier Job may have waited for what a salvage published.
        for outcome in reversed(outcomes) if attempt.salvage else outcomes[-1:]:
            outcome.record()
    _drop_unsound(ledger, graph)
    # An active Job is always later than the finished ones that ran the same steps.
    for attempt in ordered:
        if attempt.active:
            _follow(ledger, graph, attempt, now)
    _find_lost(ledger, graph, {one.job for one in ordered}, now)


def _drop_unsound(ledger: Ledger, graph: Graph) -> None:
    """Reset completed steps whose inputs will not be published."""
    for step in graph.steps:
        status = ledger.steps[step.name]
        if status.state is StepState.PUBLISHING and not sound(ledger, step):
            ledger.steps[step.name] = take_back(status, status.attempt)


def _follow(ledger: Ledger, graph: Graph, attempt: Attempt, now: str) -> None:
    """The live state of an active Job's steps."""
    stray = not attempt.numbers or any(left_behind(ledger, attempt, name) for name in attempt.numbers)
    ledger.in_flight.update(attempt.numbers)
    if stray:
        ledger.stray.append(attempt)
    current = attempt.current
    for name, number in attempt.numbers.items():
        if attempt.salvage or left_behind(ledger, attempt, name):
            continue
        status = ledger.steps[name]
        if name in attempt.completed:
            ledger.steps[name] = started(status, attempt, name, StepState.PUBLISHING, now)
        elif stray:
            # The Job is stopped because of another step.
            if name == current or status.state is not StepState.PENDING:
                ledger.steps[name] = take_back(status, number)
        elif name == current:
            waiting = attempt.waiting or overdue(attempt, now)
            reason, message = (waiting[0][:64], waiting[1][-MAX_MESSAGE:]) if waiting else (None, None)
            running = started(status, attempt, name, StepState.RUNNING, now)
            ledger.steps[name] = running.model_copy(update={"reason": reason, "message": message})
    if not stray:
        deliveries.record(ledger, graph, attempt)


def _find_lost(ledger: Ledger, graph: Graph, jobs: set[str], now: str) -> None:
    """Record running steps whose Job has disappeared. What it left unpublished is left to a salvage."""
    for name, step in ledger.steps.items():
        if step.state is StepState.RUNNING and step.job not in jobs:
            lost = Failure(FailureClass.INFRASTRUCTURE, "JobLost", "the Job was deleted", name)
            ledger.steps[name] = after_failure(graph.step(name), step, lost, now)
