"""A world without Kubernetes: Jobs are entries in a dict, modules end as a table says, time is a number.

`World.decide` is what one reconciliation sees and does: it may be cut short after any action (`crash_after`), and it
may see an old status (`seen`) in place of the stored one. What must never happen is checked as it happens.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from plato_sas.api import StarProcessingStatus, StarState, StepState, StepStatus
from plato_sas.jobs.outcome import Attempt, AttemptState, Failure, FailureClass
from plato_sas.jobs.stage import StageRun
from plato_sas.plan.decide import Decision, Observed, ReleaseJob, StartStage, StopJob, decide
from plato_sas.plan.graph import Graph
from plato_sas.stager.messages import PublishedStep
from sas_samples import REVISION, processing


@dataclass(frozen=True)
class Ok:
    """The module ends well."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Bad:
    """The attempt fails."""

    kind: FailureClass = FailureClass.SCIENCE
    reason: str = "ModuleFailed"
    message: str = "no stars tonight"
    exit_code: int | None = 2


TEMPORARY = Bad(FailureClass.TEMPORARY, "TemporaryFailure", "try later", 75)
OUT_OF_MEMORY = Bad(FailureClass.OUT_OF_MEMORY, "OOMKilled", "killed", 137)
NODE_LOST = Bad(FailureClass.INFRASTRUCTURE, "PodLost", "the node went away", None)

Outcome = Ok | Bad
Outcomes = Callable[[str, int], Outcome]


@dataclass
class SimulatedJob:
    stage: StageRun
    outcome: Outcome | None = None  # None: active
    started: float = 0
    finished: float = 0
    released: bool = False

    @property
    def step(self) -> str:
        return self.stage.steps[0].name


class World:
    """One star. `outcomes(step, attempt)` says how each attempt ends, once `finish` lets it end."""

    def __init__(self, graph: Graph, outcomes: Outcomes | None = None, **spec: Any) -> None:
        self.graph = graph
        self.outcomes: Outcomes = outcomes or (lambda step, attempt: Ok())
        self.spec = spec
        self.status = StarProcessingStatus()
        self.jobs: dict[str, SimulatedJob] = {}
        self.created: list[str] = []  # "step/attempt", in the order of creation
        self.admitted = True
        self.time = 0.0

    @property
    def now(self) -> str:
        return stamp(self.time)

    # What the operator sees

    def attempts(self) -> tuple[Attempt, ...]:
        return tuple(_attempt(name, job) for name, job in self.jobs.items())

    def observe(self, seen: StarProcessingStatus | None = None) -> Observed:
        star = processing(seen if seen is not None else self.status, **self.spec)
        return Observed(star, self.graph, REVISION, self.attempts(), self.admitted, self.now)

    # What it does

    def decide(self, *, crash_after: int | None = None, seen: StarProcessingStatus | None = None) -> Decision:
        """One reconciliation. `crash_after` actions the operator dies: the status is then not written."""
        decision = decide(self.observe(seen))
        # The API server would refuse anything else.
        assert StarProcessingStatus.model_validate(decision.status.to_dict()) == decision.status
        for index, action in enumerate(decision.actions):
            if index == crash_after:
                return decision
            match action:
                case StartStage(stage):
                    self._create(stage, decision.status)
                case StopJob(name):
                    self.jobs.pop(name)
                case ReleaseJob(name):
                    assert self.jobs[name].outcome is not None, "a Job that still runs was let go"
                    self.jobs[name].released = True
        if crash_after is None or crash_after > len(decision.actions):
            self.status = decision.status
        return decision

    def _create(self, stage: StageRun, status: StarProcessingStatus) -> None:
        if stage.description.id in self.jobs:
            return  # the API server answers that it exists already
        step = stage.steps[0].name
        made = f"{step}/{stage.attempt}"
        assert made not in self.created, f"{made} was started twice"
        active = [job for job in self.jobs.values() if job.outcome is None]
        assert step not in {job.step for job in active}, f"two attempts at {step} run side by side"
        done = {job.step for job in self.jobs.values() if isinstance(job.outcome, Ok)}
        assert step not in done, f"{step} was published already"
        states = {one.name: one.state for one in status.steps}
        for upstream in self.graph.step(step).upstream:
            assert states[upstream].final, f"{step} started before {upstream} was final"
            assert states[upstream] is not StepState.SUCCEEDED or upstream in done
        self.created.append(made)
        self.jobs[stage.description.id] = SimulatedJob(stage, started=self.time)

    # What happens meanwhile

    def active(self) -> list[str]:
        return [name for name, job in self.jobs.items() if job.outcome is None]

    def finish(self, name: str) -> None:
        job = self.jobs[name]
        self.time += 1
        job.outcome = self.outcomes(job.step, job.stage.attempt)
        job.finished = self.time

    def finish_step(self, step: str) -> None:
        (name,) = [one for one in self.active() if self.jobs[one].step == step]
        self.finish(name)

    def lose(self, step: str) -> None:
        """Somebody deletes the Job."""
        (name,) = [one for one in self.jobs if self.jobs[one].step == step]
        del self.jobs[name]

    def run(self, rounds: int = 500) -> "World":
        """To the end; attempts end one after the other, the clock moves where nothing else does."""
        for _ in range(rounds):
            decision = self.decide()
            if self.status.state.finished:
                return self
            if active := self.active():
                self.finish(active[0])
            elif decision.again_after is not None:
                self.time += decision.again_after
            else:
                raise AssertionError(f"stuck in {self.status.to_dict()}")
        raise AssertionError(f"not finished after {rounds} rounds")

    # What can be asked

    def step(self, name: str) -> StepStatus:
        return next(step for step in self.status.steps if step.name == name)

    def states(self) -> dict[str, str]:
        return {step.name: step.state.value for step in self.status.steps}

    def stage(self, step: str, attempt: int = 1) -> StageRun:
        return next(j.stage for j in self.jobs.values() if j.step == step and j.stage.attempt == attempt)

    def condition(self, kind: str) -> tuple[str, str, str]:
        one = next(one for one in self.status.conditions if one.type == kind)
        return one.status, one.reason, one.message

    @property
    def state(self) -> StarState:
        return self.status.state


def stamp(seconds: float) -> str:
    """RFC 3339 in whole seconds, as the API server writes times."""
    return datetime.fromtimestamp(1_900_000_000 + int(-(-seconds // 1)), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _attempt(name: str, job: SimulatedJob) -> Attempt:
    common: dict[str, Any] = {
        "job": name,
        "steps": (job.step,),
        "number": job.stage.attempt,
        "released": job.released,
        "started_at": stamp(job.started),
    }
    if job.outcome is None:
        return Attempt(state=AttemptState.ACTIVE, **common)
    common["finished_at"] = stamp(job.finished)
    inputs = {one.name: "1" * 64 for one in job.stage.description.steps[0].inputs if one.volume == "inputs"}
    if isinstance(job.outcome, Ok):
        published = PublishedStep("a" * 64, dict(job.outcome.facts), list(job.outcome.missing))
        return Attempt(state=AttemptState.SUCCEEDED, published={job.step: published}, inputs=inputs, **common)
    bad = job.outcome
    failure = Failure(bad.kind, bad.reason, bad.message, job.step, bad.exit_code)
    return Attempt(state=AttemptState.FAILED, failure=failure, inputs=inputs, **common)
