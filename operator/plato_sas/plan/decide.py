"""The heart: from what is observed of a star to what to do and what to say.

`decide` is a pure function of the CR, its pinned graph and the attempts (Jobs) that exist. It

1. folds the attempts into the steps' states (`attempts`), recording each outcome once;
2. walks the graph in topological order and settles every pending step whose upstream is final: skipped, or
   ready to start;
3. starts what is ready, as far as the star is wanted, sound and admitted;
4. sums the steps up into the star's state (`status`).

Run again on the same observations it decides the same; run again after its actions it finds them done.
"""

from dataclasses import dataclass

from plato_sas.api import DesiredState, StarProcessing, StarProcessingStatus, StepState, StepStatus
from plato_sas.jobs.outcome import Attempt, AttemptState
from plato_sas.jobs.stage import StageRun
from plato_sas.plan import acceptance
from plato_sas.plan.attempts import MAX_MESSAGE, POD_EXPECTED_SECONDS, Ledger, fold, no_pod_yet, pause_left
from plato_sas.plan.graph import Graph, GraphStep
from plato_sas.plan.stages import present, stage_for
from plato_sas.plan.status import summarise


@dataclass(frozen=True)
class Observed:
    """Everything a decision may depend on. `now` is RFC 3339; `admitted` says that the star has a slot.

    `held` is the reason and message of what else keeps the star from starting anything now.
    """

    processing: StarProcessing
    graph: Graph
    revision: str
    attempts: tuple[Attempt, ...]
    admitted: bool
    now: str
    held: tuple[str, str] | None = None


_NO_SLOT = ("WaitingForSlot", "as many stars as allowed are running")


@dataclass(frozen=True)
class StartStage:
    """Create the Job of a stage."""

    stage: StageRun


@dataclass(frozen=True)
class StopJob:
    """Delete a Job that is still active, with its pod."""

    job: str


@dataclass(frozen=True)
class ReleaseJob:
    """Let a finished Job go, its outcome being in the status."""

    job: str


Action = StartStage | StopJob | ReleaseJob


@dataclass(frozen=True)
class Decision:
    """What to do, the status to write, and when to look again without an event (seconds)."""

    actions: tuple[Action, ...]
    status: StarProcessingStatus
    again_after: float | None = None
    needs_slot: bool = False


def decide(observed: Observed) -> Decision:
    """What to do next about one star."""
    processing, graph, now = observed.processing, observed.graph, observed.now
    before = processing.status
    known = {step.name: step for step in before.steps}
    ledger = Ledger(
        steps={step.name: known.get(step.name, StepStatus(name=step.name)) for step in graph.steps},
        facts=dict(before.facts),
        inputs=dict(before.inputs),
    )
    fold(ledger, graph, observed.attempts, now)
    actions: list[Action] = [ReleaseJob(one.job) for one in _once(ledger.recorded) if not one.released]
    actions += [StopJob(one.job) for one in _once(ledger.stray) if not one.released]
    problems = acceptance.problems(processing.spec, graph)
    # Nothing may ever happen to a Job that is not allowed its pod: look again by ourselves.
    again = [POD_EXPECTED_SECONDS for one in observed.attempts if no_pod_yet(one)]
    needs_slot = False
    if processing.spec.desired_state is DesiredState.CANCEL:
        actions += _cancel(ledger, observed.attempts, now)
    else:
        ready = _settle(ledger, graph, now)
        hold = processing.spec.desired_state is DesiredState.SUSPEND or bool(problems)
        needs_slot = bool(ready) and not hold
        if needs_slot and observed.admitted and observed.held is None:
            started, pauses = _start(ledger, processing, graph, ready, now)
            actions += started
            again += pauses
    status = before.model_copy(update={"revision": observed.revision, "facts": ledger.facts, "inputs": ledger.inputs})
    steps = [ledger.steps[step.name] for step in graph.steps]
    waiting = (observed.held or (None if observed.admitted else _NO_SLOT)) if needs_slot else None
    return Decision(
        actions=tuple(actions),
        status=summarise(processing, status, steps, problems, waiting, now),
        again_after=min(again) if again else None,
        needs_slot=needs_slot,
    )


def _once(attempts: list[Attempt]) -> list[Attempt]:
    return list({attempt.job: attempt for attempt in attempts}.values())


def _cancel(ledger: Ledger, attempts: tuple[Attempt, ...], now: str) -> list[Action]:
    for name, step in ledger.steps.items():
        if not step.state.final:
            update = {"state": StepState.CANCELLED, "reason": "Cancelled", "finished_at": now}
            ledger.steps[name] = step.model_copy(update=update)
    active = [one for one in attempts if one.state is AttemptState.ACTIVE and not one.released]
    return [StopJob(one.job) for one in active]


def _settle(ledger: Ledger, graph: Graph, now: str) -> list[GraphStep]:
    """Skip what cannot run; return what can. In topological order a skip reaches everything downstream."""
    ready = []
    for step in graph.steps:
        status = ledger.steps[step.name]
        if status.state is not StepState.PENDING:
            continue
        if not all(ledger.steps[name].state.final for name in step.upstream):
            continue
        skip = _reason_to_skip(step, ledger)
        if skip is None:
            ready.append(step)
        else:
            reason, message = skip
            update = {
                "state": StepState.SKIPPED, "reason": reason, "message": message[:MAX_MESSAGE], "finished_at": now
            }  # fmt: skip
            ledger.steps[step.name] = status.model_copy(update=update)
    return ready


def _reason_to_skip(step: GraphStep, ledger: Ledger) -> tuple[str, str] | None:
    for name in sorted(step.upstream):
        upstream = ledger.steps[name]
        if upstream.state is StepState.FAILED or upstream.reason == "UpstreamFailed":
            # Not even an optional input of a failed step is simply left out: the result would differ from
            # the one that the star deserves, and nobody would see it.
            return "UpstreamFailed", f"step {name} did not end well"
    if step.when is not None:
        value = step.when.evaluate(ledger.facts)
        if value is None:
            return "FactAbsent", f"when: {step.when.expression}: a fact it needs was not reported"
        if not value:
            return "ConditionFalse", f"when: {step.when.expression}"
    for one in step.inputs:
        if not one.optional and not present(one, ledger.steps):
            return "InputAbsent", f"input {one.name}: step {one.step} made none"
    return None


def _start(
    ledger: Ledger, processing: StarProcessing, graph: Graph, ready: list[GraphStep], now: str
) -> tuple[list[Action], list[float]]:
    actions: list[Action] = []
    pauses: list[float] = []
    for step in ready:
        status = ledger.steps[step.name]
        pause = pause_left(status, now)
        if pause > 0:
            pauses.append(pause)
            continue
        number = status.attempt + 1
        actions.append(StartStage(stage_for(processing, graph, step, number, ledger.steps)))
        update = {"state": StepState.RUNNING, "attempt": number, "started_at": now, "finished_at": None,
                  "reason": None, "message": None, "exit_code": None}  # fmt: skip
        ledger.steps[step.name] = status.model_copy(update=update)
    return actions, pauses
