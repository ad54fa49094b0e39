"""What a finished Job means for its steps; each outcome is recorded once. Exactly one of these holds for a step:

- it was published, reused or withheld, as publish or stage-in reports;
- its module completed, but its products are not visible: it is Publishing, and a salvage will publish it;
- it caused the Job's failure: `retries` decides what follows. While a step it depends on is Publishing, the judgement
  waits, since that step may turn out to lack what this one needed;
- it did not begin, or its inputs will not be published: it is reset as if nothing had happened.
"""

from dataclasses import replace

from plato_sas.api import StepState, StepStatus, seconds
from plato_sas.jobs.attempt import Attempt, StepTimes
from plato_sas.jobs.failure import TIMED_OUT, Failure, FailureClass
from plato_sas.plan.graph.graph import Graph, GraphStep
from plato_sas.plan.messages import MAX_MESSAGE
from plato_sas.plan.retries import after_failure
from plato_sas.plan.star import deliveries
from plato_sas.plan.star.ledger import Ledger
from plato_sas.plan.times import seconds_between
from plato_sas.stager.messages import PublishedStep

# Reasons of steps that wait for a salvage: one whose module completed, and one downstream of such a step.
UNPUBLISHED = "Unpublished"
AWAITING_PUBLICATION = "AwaitingPublication"
# A volume that lost an attempt's files is not the module's fault.
WITHHELD_BY_THE_VOLUME = frozenset({"OutputLost"})
# Times are whole seconds.
_ROUNDING_SECONDS = 1.0


def left_behind(ledger: Ledger, attempt: Attempt, name: str) -> bool:
    """Whether this attempt no longer counts for the step."""
    status = ledger.steps.get(name)
    if status is None or status.state.final or attempt.numbers[name] < status.attempt:
        return True
    if status.state is StepState.PENDING:
        # The same number: its outcome is recorded, and the next attempt has not begun.
        return attempt.numbers[name] == status.attempt
    return attempt.salvage > 0 and _salvages_failed(status) >= attempt.salvage


def _salvages_failed(status: StepStatus) -> int:
    """Failed salvages; each has raised this to its own number."""
    return (status.retries or {}).get(FailureClass.INFRASTRUCTURE, 0)


def is_news(ledger: Ledger, attempt: Attempt, name: str) -> bool:
    """Whether a finished Job has an outcome for a step that the status does not have yet."""
    if left_behind(ledger, attempt, name):
        return False
    status = ledger.steps[name]
    if attempt.salvage or attempt.check:
        return True
    if status.job == attempt.job:
        # Publishing with a reason: the status already says that it is unpublished.
        return status.state is not StepState.PUBLISHING or status.reason is None
    # According to the status it has not begun.
    named = attempt.failure is not None and attempt.failure.step == name
    return named or name in attempt.begun or name in attempt.reported or name == next(iter(attempt.numbers))


def sound(ledger: Ledger, step: GraphStep) -> bool:
    """Whether all inputs of the step are published or will be."""
    states = (ledger.steps[name].state for name in step.upstream)
    return all(one.published or one in (StepState.SKIPPED, StepState.PUBLISHING) for one in states)


def started(status: StepStatus, attempt: Attempt, name: str, state: StepState, now: str) -> StepStatus:
    """The status of a step that this attempt has begun."""
    times = attempt.begun.get(name, StepTimes())
    same = status.job == attempt.job
    first = name == next(iter(attempt.numbers))
    begun = times.started_at or (status.started_at if same else None) or (attempt.started_at if first else None)
    return status.model_copy(
        update={
            "state": state,
            "attempt": attempt.numbers[name],
            "job": attempt.job,
            "reason": None,
            "message": None,
            "exit_code": 0 if state is StepState.PUBLISHING else None,
            "started_at": begun or now,
            "finished_at": times.finished_at,
        }
    )


def take_back(status: StepStatus, number: int, reason: str | None = None, message: str | None = None) -> StepStatus:
    """Reset the step to Pending. The number of its attempt stays used."""
    update = {"state": StepState.PENDING, "attempt": number, "reason": reason, "message": message,
              "exit_code": None, "started_at": None, "finished_at": None}  # fmt: skip
    return status.model_copy(update=update)


class Outcome:
    """A finished Job. Recording it again repeats the outcome, or adds what was unknown before."""

    def __init__(self, ledger: Ledger, graph: Graph, attempt: Attempt, at: str) -> None:
        self._ledger = ledger
        self._graph = graph
        self._attempt = attempt
        self._at = at
        self._culprit = self._find_culprit()

    def _find_culprit(self) -> str | None:
        """The step that a failure is charged to: the one it names, or the one that would have run next."""
        attempt, failure = self._attempt, self._attempt.failure
        if failure is None or attempt.salvage:
            return None
        named = failure.step
        if named in attempt.numbers and (named not in attempt.completed or failure.kind is FailureClass.SCIENCE):
            return named
        return next((name for name in attempt.numbers if not self._has_completed(name)), None)

    def _has_completed(self, name: str) -> bool:
        """Whether the step's module completed, according to the pod or the status."""
        status = self._ledger.steps.get(name)
        seen = status is not None and status.state is StepState.PUBLISHING and status.job == self._attempt.job
        return seen or name in self._attempt.completed or left_behind(self._ledger, self._attempt, name)

    def record(self) -> None:
        """Record the outcome of each step that does not have it yet, in topological order."""
        attempt, ledger = self._attempt, self._ledger
        if not all(left_behind(ledger, attempt, name) for name in attempt.numbers):
            deliveries.record(ledger, self._graph, attempt)
        for name in [one for one in attempt.numbers if is_news(ledger, attempt, one)]:
            step = self._graph.step(name)
            if name in attempt.published:
                self._publish(step, attempt.published[name], StepState.SUCCEEDED)
            elif name in attempt.reused:
                self._publish(step, attempt.reused[name], StepState.REUSED)
            elif name in attempt.withheld:
                self._withhold(step)
            elif attempt.salvage:
                self._leave_again(step)
            elif name != self._culprit and self._has_completed(name):
                self._leave(step)
            elif name == self._culprit:
                self._judge(step)
            else:
                self._take_back(step)

    def _begun(self, step: GraphStep) -> StepStatus:
        status = self._ledger.steps[step.name]
        if self._attempt.salvage:
            return status.model_copy(update={"attempt": self._attempt.numbers[step.name]})
        return started(status, self._attempt, step.name, StepState.RUNNING, self._at)

    def _publish(self, step: GraphStep, published: PublishedStep, state: StepState) -> None:
        status = self._begun(step)
        mixed = deliveries.mismatch(self._ledger, self._graph, self._attempt, step)
        if mixed is not None:
            self._ledger.steps[step.name] = after_failure(step, status, mixed, self._at)
            return
        self._ledger.steps[step.name] = status.model_copy(
            update={
                "state": state,
                "reason": None,
                "message": None,
                "exit_code": 0 if state is StepState.SUCCEEDED else None,
                "digest": published.digest,
                "job": published.job or status.job,
                "missing": list(published.missing) or None,
                "finished_at": status.finished_at or self._at,
            }
        )
        self._ledger.facts.pop(step.name, None)
        if published.facts:
            self._ledger.facts[step.name] = dict(published.facts)

    def _withhold(self, step: GraphStep) -> None:
        withheld = self._attempt.withheld[step.name]
        kind = FailureClass.INFRASTRUCTURE if withheld.reason in WITHHELD_BY_THE_VOLUME else FailureClass.SCIENCE
        failure = Failure(kind, withheld.reason, withheld.message, step.name)
        self._ledger.steps[step.name] = after_failure(step, self._begun(step), failure, self._at)

    def _leave(self, step: GraphStep) -> None:
        """Its module completed: its products wait for a salvage, unless its inputs will not be published."""
        if not sound(self._ledger, step):
            self._take_back(step)
        elif self._attempt.failure is not None and self._culprit is None:
            self._charge_publication(step, self._attempt.failure)
        else:
            message = "its Job ended before its products were published"
            update = {"state": StepState.PUBLISHING, "exit_code": 0, "reason": UNPUBLISHED, "message": message}
            self._ledger.steps[step.name] = self._begun(step).model_copy(update=update)

    def _leave_again(self, step: GraphStep) -> None:
        """A salvage did not publish it: the salvage failed, or its report had no room left."""
        first = step.name == next(iter(self._attempt.numbers))
        failure = self._attempt.failure
        if failure is None and first:
            failure = Failure(FailureClass.INFRASTRUCTURE, "StagerFailed", "publish did not report its outcome")
        if self._ledger.steps[step.name].state is not StepState.PUBLISHING or not sound(self._ledger, step):
            self._take_back(step)
        elif failure is not None:
            self._charge_publication(step, failure)

    def _charge_publication(self, step: GraphStep, failure: Failure) -> None:
        """Charge publish's own failure, up to its retry limit."""
        failed = after_failure(step, self._begun(step), failure, self._at, StepState.PUBLISHING)
        if failed.state is StepState.PUBLISHING:
            number = max(_salvages_failed(failed), self._attempt.salvage)
            failed = failed.model_copy(
                update={"retries": {**(failed.retries or {}), FailureClass.INFRASTRUCTURE.value: number}}
            )
        self._ledger.steps[step.name] = failed

    def _judge(self, step: GraphStep) -> None:
        failure = self._attempt.failure
        assert failure is not None
        upstream = [self._ledger.steps[name].state for name in step.upstream]
        if StepState.PUBLISHING in upstream:
            update = {"reason": AWAITING_PUBLICATION, "message": "its inputs are being published"}
            self._ledger.steps[step.name] = self._begun(step).model_copy(update=update)
        elif not all(state.final for state in upstream):
            # Stage-in refused it before its upstream steps ran, so it may yet be skipped.
            status, number = self._ledger.steps[step.name], self._attempt.numbers[step.name]
            message = failure.message[-MAX_MESSAGE:]
            self._ledger.steps[step.name] = take_back(status, number, failure.reason[:64], message)
        elif not sound(self._ledger, step):
            self._take_back(step)
        else:
            verdict = self._verdict(step, failure)
            self._ledger.steps[step.name] = after_failure(step, self._begun(step), verdict, self._at)

    def _verdict(self, step: GraphStep, failure: Failure) -> Failure:
        """A pod's timeout is the step's fault only if the step has used up its own timeout."""
        times = self._attempt.begun.get(step.name, StepTimes())
        if failure.reason != TIMED_OUT or times.started_at is None or times.finished_at is None:
            return failure
        allowed = seconds(step.module.timeout)
        if seconds_between(times.started_at, times.finished_at) >= allowed - _ROUNDING_SECONDS:
            text = f"step {step.name} ran longer than its timeout of {step.module.timeout} and was stopped"
            return replace(failure, message=text)
        message = f"its pod reached its deadline before the step had run for {step.module.timeout}"
        return Failure(FailureClass.INFRASTRUCTURE, "PodDeadlineExceeded", message, step.name)

    def _take_back(self, step: GraphStep) -> None:
        status = self._ledger.steps[step.name]
        attempt = self._attempt
        if attempt.check and attempt.failure is None and not attempt.reused:
            status = status.model_copy(update={"digest": None})  # it was looked for in vain
        self._ledger.steps[step.name] = take_back(status, attempt.numbers[step.name])
