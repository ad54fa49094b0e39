"""Decide what to do next about a star, and what its status says.

`decide` is a pure function of the resource, its pinned graph and the attempts (Jobs) that exist. It

1. takes up a new rerun (`rerun`);
2. folds the attempts into the steps' states (`attempts`, `outcomes`), recording each outcome once;
3. walks the graph in topological order and skips every step that can no longer run (`skips`);
4. stops a star that was cancelled or is past its deadline (`control`);
5. otherwise shortens the life of pods whose step has timed out (`timeouts`), distributes the steps that can be decided
   now over stages (`compose`), and starts these stages and the salvages of failed ones, provided that the star is to
   run, is valid and is admitted;
6. derives the star's state from its steps (`status`).

Called again with the same observations it decides the same; called again after its actions, nothing new.
"""

from collections import defaultdict
from dataclasses import dataclass

from plato_sas.api import (
    DesiredState,
    Rerun,
    StageMode,
    StarProcessing,
    StarProcessingStatus,
    StarState,
    StepState,
    StepStatus,
)
from plato_sas.jobs.attempt import Attempt
from plato_sas.jobs.stage import Run
from plato_sas.plan.graph.graph import Graph
from plato_sas.plan.overdue import OVERDUE_SECONDS, awaited
from plato_sas.plan.retries import pause_left
from plato_sas.plan.star import acceptance, control, deliveries, rerun
from plato_sas.plan.star.attempts import fold
from plato_sas.plan.star.compose import compose
from plato_sas.plan.star.ledger import Ledger
from plato_sas.plan.star.outcomes import UNPUBLISHED
from plato_sas.plan.star.skips import skip
from plato_sas.plan.star.stages import check_for, checkable, salvage_for, stage_for
from plato_sas.plan.star.status import Circumstances, summarise
from plato_sas.plan.star.timeouts import START_SECONDS, LimitPod, timeouts

MAX_STEPS_PER_STAGE = 16


@dataclass(frozen=True)
class Observed:
    """Everything a decision may depend on. `now` is RFC 3339; `admitted`: the star has a slot.

    `held`: reason and message of anything else that keeps the star from starting Jobs now. `unreadable`: problems of
    what is missing in `processing` because it is not valid.
    """

    processing: StarProcessing
    graph: Graph
    revision: str
    attempts: tuple[Attempt, ...]
    admitted: bool
    now: str
    held: tuple[str, str] | None = None
    max_steps_per_stage: int = MAX_STEPS_PER_STAGE
    start_seconds: int = START_SECONDS
    unreadable: tuple[str, ...] = ()


_NO_SLOT = ("WaitingForSlot", "the limit of running stars is reached")


@dataclass(frozen=True)
class StartRun:
    """Create the Job of a stage, a check or a salvage."""

    run: Run


@dataclass(frozen=True)
class StopJob:
    """Stop an active Job."""

    job: str


@dataclass(frozen=True)
class ReleaseJob:
    """A finished Job may be deleted: its outcome is stored in the status."""

    attempt: Attempt


Action = StartRun | StopJob | LimitPod | ReleaseJob


@dataclass(frozen=True)
class Decision:
    """What to do, the status to write, and when to look again without an event (seconds).

    `busy`: a Job of the star is active or about to be. A star that is not busy and needs no slot gives its slot back.
    """

    actions: tuple[Action, ...]
    status: StarProcessingStatus
    again_after: float | None = None
    needs_slot: bool = False
    busy: bool = False


def decide(observed: Observed) -> Decision:
    """What to do next about one star."""
    processing, graph, now = observed.processing, observed.graph, observed.now
    problems = [*observed.unreadable, *acceptance.problems(processing.spec, graph)]
    new_rerun = rerun.wanted(processing) if not problems else None
    ledger, before = _opened(observed, new_rerun)
    fold(ledger, graph, observed.attempts, now)
    skip(ledger, graph, now)
    actions: list[Action] = [ReleaseJob(one) for one in ledger.recorded if not one.leaving]
    actions += [StopJob(one.job) for one in ledger.stray if not one.leaving]
    again = [OVERDUE_SECONDS for one in observed.attempts if awaited(one)]
    busy, needs_slot = bool(ledger.in_flight), False
    followed = [one for one in observed.attempts if one.active and not one.leaving and one not in ledger.stray]
    ends = control.ends_now(processing.model_copy(update={"status": before}), now)
    if ends is not None and not all(step.state.final for step in ledger.steps.values()):
        control.end(ledger, *ends, now)
        actions += [StopJob(one.job) for one in followed]
    else:
        limits, pauses = timeouts(followed, graph, now, observed.start_seconds)
        actions += limits
        again += pauses
        starter = _Starter(observed, ledger, before.rerun or 0)
        wanted = processing.spec.desired_state is not DesiredState.SUSPEND and not problems
        needs_slot = starter.has_work and wanted
        again += starter.pauses
        if needs_slot and observed.admitted and observed.held is None:
            # Store that a rerun was taken up before any of its Jobs starts; no event tells that it is stored.
            if new_rerun is not None:
                again.append(0.0)
            else:
                actions += starter.start()
                busy = True
    status = before.model_copy(update={"facts": ledger.facts, "inputs": ledger.inputs})
    steps = [ledger.steps[step.name] for step in graph.steps]
    waiting = (observed.held or (None if observed.admitted else _NO_SLOT)) if needs_slot else None
    summary = summarise(processing, status, steps, Circumstances(tuple(problems), waiting, busy), now)
    again += _until_deadline(processing.model_copy(update={"status": summary}), now)
    return Decision(tuple(actions), summary, min(again) if again else None, needs_slot, busy)


def _opened(observed: Observed, new: Rerun | None) -> tuple[Ledger, StarProcessingStatus]:
    """The initial ledger and the status it comes from, with a new rerun taken up."""
    processing, graph = observed.processing, observed.graph
    before = processing.status
    known = {step.name: step for step in before.steps}
    ledger = Ledger(
        steps={step.name: known.get(step.name, StepStatus(name=step.name)) for step in graph.steps},
        facts={name: dict(facts) for name, facts in before.facts.items() if name in known},
        inputs=dict(before.inputs),
    )
    if new is not None:
        same_graph = before.revision in (None, observed.revision)
        rerun.take_up(ledger, graph, new, same_graph, observed.attempts)
        # The deadline counts from here.
        before = before.model_copy(update={"rerun": new.id, "started_at": observed.now, "finished_at": None})
    return ledger, before.model_copy(update={"revision": observed.revision})


def _until_deadline(processing: StarProcessing, now: str) -> list[float]:
    left = control.deadline_left(processing, now)
    if left is None or processing.status.state.at_rest or processing.status.state is StarState.PENDING:
        return []
    return [max(0.0, left)]


class _Starter:
    """Finds and starts what can be started now, in the order of the graph."""

    def __init__(self, observed: Observed, ledger: Ledger, rerun_id: int) -> None:
        self._observed = observed
        self._ledger = ledger
        self._rerun_id = rerun_id
        processing, graph = observed.processing, observed.graph
        mode = processing.spec.stages or graph.stages
        limit = observed.max_steps_per_stage if mode is StageMode.FUSED else 1
        composition = compose(ledger, graph, limit, observed.now)
        self._stages = composition.stages
        self._salvages, pauses = self._find_salvages()
        self.pauses = [*composition.pauses, *pauses]

    @property
    def has_work(self) -> bool:
        return bool(self._stages or self._salvages)

    def _find_salvages(self) -> tuple[dict[str, list[str]], list[float]]:
        """Completed but unpublished steps, by the Job that ran them."""
        found: dict[str, list[str]] = defaultdict(list)
        pauses = []
        for name, step in self._ledger.steps.items():
            if step.state is not StepState.PUBLISHING or name in self._ledger.in_flight or step.job is None:
                continue
            found[step.job].append(name)
        for job, names in list(found.items()):
            # Together, since one may depend on the other.
            pause = max(self._pause(self._ledger.steps[name]) for name in names)
            if pause > 0:
                pauses.append(pause)
                del found[job]
        return found, pauses

    def _pause(self, step: StepStatus) -> float:
        """Seconds to wait: only a failed salvage is followed by a pause."""
        return 0.0 if step.reason in (None, UNPUBLISHED) else pause_left(step, self._observed.now)

    def start(self) -> list[Action]:
        """Return the actions, and mark their steps in the ledger as running."""
        processing, graph, now = self._observed.processing, self._observed.graph, self._observed.now
        actions: list[Action] = []
        for job, names in self._salvages.items():
            actions.append(StartRun(salvage_for(processing, graph, job, names, self._ledger.steps)))
        for steps in self._stages:
            deliveries.forget(self._ledger, graph, steps)
            known = checkable(processing, steps, self._ledger.steps)
            begin = check_for if known else stage_for
            run = begin(processing, graph, known or steps, self._ledger.steps, self._ledger.inputs, self._rerun_id)
            actions.append(StartRun(run))
            steps = known or steps
            # The other steps stay Pending until they run.
            self._ledger.update(
                steps[0].name, state=StepState.RUNNING, attempt=run.numbers[steps[0].name], job=run.job,
                started_at=now, finished_at=None, reason=None, message=None, exit_code=None,
            )  # fmt: skip
        return actions
