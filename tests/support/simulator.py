"""A world without Kubernetes: Jobs as the operator builds them, pods that run container after container as told.

`World.decide` is what one reconciliation sees and does: it may be cut short after any action (`crash_after`), and it
may see an old status (`seen`) in place of the stored one. What must never happen is checked as it happens.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from plato_sas.api import Document, StarProcessingStatus, StarState, StepStatus
from plato_sas.jobs import names
from plato_sas.jobs.attempt import Attempt, attempt
from plato_sas.jobs.builder import build_job
from plato_sas.jobs.stage import CheckRun, Run, SalvageRun, Site, StageRun
from plato_sas.plan.graph.graph import Graph
from plato_sas.plan.star.decide import (
    MAX_STEPS_PER_STAGE,
    Decision,
    Observed,
    ReleaseJob,
    StartRun,
    StopJob,
    decide,
)
from plato_sas.plan.star.timeouts import START_SECONDS, LimitPod
from plato_sas.stager.description import PublishOrder
from plato_sas.stager.messages import Problem, room
from tests.support.samples import REVISION, processing
from tests.support.volume import Output, Volume

SITE = Site(stager_image="registry/stager:1")


@dataclass(frozen=True)
class Ok:
    """The module ends well; `sound` if with every output that it must write."""

    facts: Mapping[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    sound: bool = True


@dataclass(frozen=True)
class Bad:
    """The module fails."""

    exit_code: int = 2
    message: str = "no stars tonight"
    reason: str = "Error"


@dataclass(frozen=True)
class Hangs:
    """The module never ends by itself."""


TEMPORARY = Bad(75, "try later")
OUT_OF_MEMORY = Bad(137, "", "OOMKilled")

Outcome = Ok | Bad | Hangs
# How the n-th run (from 1) of a step ends that is given so much memory (Mi).
Outcomes = Callable[[str, int, int], Outcome]


def ending(**by_step: Outcome | list[Outcome]) -> Outcomes:
    """How runs end: a list gives one run after the other, the last for all further ones."""

    def outcome(step: str, run: int, memory: int) -> Outcome:
        planned = by_step.get(step, Ok())
        return planned[min(run, len(planned)) - 1] if isinstance(planned, list) else planned

    return outcome


class SimulatedJob:
    """A Job and its pod. `tick` lets the next container begin, or the current one end."""

    def __init__(self, run: Run, world: "World") -> None:
        self.run = run
        self.world = world
        self.document = build_job(run, SITE)
        self.document["metadata"]["creationTimestamp"] = world.now
        self.document["status"] = {"startTime": world.now}
        self.spec = self.document["spec"]["template"]["spec"]
        self.containers = [*self.spec.get("initContainers", []), *self.spec["containers"]]
        self.states: list[Document] = []
        self.pod_status: Document = {"phase": "Pending", "startTime": world.now}
        self.has_pod = True
        self.released = False
        self.held_up: str | None = None

    @property
    def name(self) -> str:
        return self.run.job

    @property
    def steps(self) -> list[str]:
        return list(self.run.numbers)

    @property
    def label(self) -> str:
        what = "+".join(f"{step}/{number}" for step, number in self.run.numbers.items())
        match self.run:
            case SalvageRun():
                return f"salvage {what}"
            case CheckRun():
                return f"check {what}"
            case _:
                return what

    @property
    def ended(self) -> bool:
        return self.pod_status["phase"] in ("Succeeded", "Failed")

    @property
    def running(self) -> str | None:
        """The container that runs."""
        here = bool(self.states) and "running" in self.states[-1]
        return str(self.containers[len(self.states) - 1]["name"]) if here else None

    @property
    def stuck(self) -> bool:
        step = names.container_step(self.running or "")
        if self.held_up is not None:
            return True
        return step is not None and isinstance(self._outcome(step, 1 + self.world.runs.get(step, 0)), Hangs)

    def pod(self) -> Document:
        statuses = [
            {"name": one["name"], "state": self.states[index] if index < len(self.states) else self._waits(index)}
            for index, one in enumerate(self.containers)
        ]
        status = {**self.pod_status, "initContainerStatuses": statuses[:-1], "containerStatuses": statuses[-1:]}
        metadata = {"name": f"{self.name}-pod", "creationTimestamp": self.document["metadata"]["creationTimestamp"]}
        return {"metadata": metadata, "spec": self.spec, "status": status}

    def _waits(self, index: int) -> Document:
        next_one = index == len(self.states)
        return {"waiting": {"reason": self.held_up if next_one and self.held_up else "PodInitializing"}}

    def hold_up(self, reason: str) -> None:
        """The next container cannot begin."""
        self.held_up = reason

    def observed(self) -> Attempt:
        return attempt(self.document, [self.pod()] if self.has_pod else [])

    # What happens to it

    def tick(self) -> None:
        assert not self.ended
        self.world.time += 1
        if self.running is None:
            self.states.append({"running": {"startedAt": self.world.now}})
            step = names.container_step(self.running or "")
            if step is not None:
                self.world.begin(step, self)
            return
        container = self.running
        if container == names.CHECK:
            assert isinstance(self.run, CheckRun)
            looked = self.world.volume.check(self.run.description)
            problem = isinstance(looked, Problem)
            self._end(1 if problem else 0, looked.to_json(room(1)) if isinstance(looked, Problem) else looked.to_json())
        elif container == names.STAGE_IN:
            assert isinstance(self.run, StageRun)
            staged = self.world.volume.stage_in(self.run.description)
            well = not isinstance(staged, Problem) and not staged.reused
            limit = room(self.run.description.containers)
            report = staged.to_json(limit) if isinstance(staged, Problem) else staged.fitted(limit).to_json()
            self._end(0 if well else 1, report)
        elif container == names.PUBLISH:
            self.publish(lambda: True)
        else:
            self._run_module(container)

    def publish(self, alive: Callable[[], bool]) -> None:
        order = self.run.order if isinstance(self.run, SalvageRun) else None
        if order is None:
            assert isinstance(self.run, StageRun)
            stage = self.run.description
            order = PublishOrder(stage.campaign, stage.star, stage.id, self.steps, stage.containers)
        report = self.world.volume.publish(order, alive)
        if report is None:
            self.kill("Evicted")
        else:
            self._end(1 if report.failed else 0, report.to_json())

    def _outcome(self, step: str, run: int) -> Outcome:
        limit = next(one for one in self.containers if one["name"] == names.step_container(step))
        memory = limit["resources"]["limits"]["memory"]
        return self.world.outcomes(step, run, int(memory[:-2]) * (1024 if memory.endswith("Gi") else 1))

    def _run_module(self, container: str) -> None:
        step = names.container_step(container)
        assert step is not None
        volume = self.world.volume
        if not volume.readable(self.name, step):
            self._end(2, f"/sas/in of {step}: an input is not there")
            return
        self.world.runs[step] = run = self.world.runs.get(step, 0) + 1
        match self._outcome(step, run):
            case Ok(facts, missing, sound):
                volume.leave(self.name, step, Output(facts, missing, sound))
                self._end(0, "")
            case Bad(code, message, reason):
                self._end(code, message, reason)
            case Hangs():
                self.world.runs[step] -= 1

    def _end(self, code: int, message: str, reason: str = "Error") -> None:
        began = self.states[-1]["running"]["startedAt"]
        why = "Completed" if code == 0 else reason
        ended = {"exitCode": code, "message": message, "reason": why, "startedAt": began, "finishedAt": self.world.now}
        self.states[-1] = {"terminated": ended}
        if code != 0:
            self._over("Failed")
        elif len(self.states) == len(self.containers):
            self._over("Succeeded")

    def _over(self, phase: str, **status: Any) -> None:
        self.pod_status |= {"phase": phase, **status}
        kind = "Complete" if phase == "Succeeded" else "Failed"
        condition = {"type": kind, "status": "True", "lastTransitionTime": self.world.now}
        self.document["status"]["conditions"] = [condition]

    def kill(self, how: str) -> None:
        """From outside: Evicted, DeadlineExceeded, or PodLost, which leaves no pod."""
        if self.running is not None:
            self._end(137, "")
        self._over("Failed", reason=how)
        self.has_pod = how != "PodLost"

    def limit(self, seconds: int) -> None:
        self.spec["activeDeadlineSeconds"] = seconds
        if self.world.age(self) >= seconds:
            self.kill("DeadlineExceeded")

    def go_on(self) -> None:
        """As far as it comes by itself."""
        while not self.ended and not self.stuck:
            self.tick()

    def finish(self) -> None:
        self.go_on()
        assert self.ended, f"{self.running} never ends"


class World:
    """One star. `outcomes(step, run, memory)` says how each run of a module ends."""

    def __init__(self, graph: Graph, outcomes: Outcomes | None = None, **spec: Any) -> None:
        self.graph = graph
        self.outcomes: Outcomes = outcomes or (lambda step, run, memory: Ok())
        self.spec = spec
        self.status = StarProcessingStatus()
        self.volume = Volume()
        self.jobs: dict[str, SimulatedJob] = {}
        self.created: list[str] = []  # labels of Jobs, in the order of creation
        self.begun: list[str] = []  # "step/attempt", in the order in which modules began
        self.runs: dict[str, int] = {}  # how often each module has ended by itself
        self.admitted = True
        self.forgetful = False  # statuses get lost: numbers are given twice
        self.revision = REVISION
        self.limit = MAX_STEPS_PER_STAGE
        self.start_seconds = START_SECONDS
        self.time = 0.0

    @property
    def now(self) -> str:
        return stamp(self.time)

    def age(self, job: SimulatedJob) -> float:
        begun = datetime.fromisoformat(job.pod_status["startTime"].replace("Z", "+00:00"))
        return (datetime.fromisoformat(self.now.replace("Z", "+00:00")) - begun).total_seconds()

    # What the operator sees and does

    def attempts(self) -> tuple[Attempt, ...]:
        return tuple(job.observed() for job in self.jobs.values())

    def observe(self, seen: StarProcessingStatus | None = None) -> Observed:
        star = processing(seen if seen is not None else self.status, **self.spec)
        attempts = self.attempts()
        return Observed(
            star, self.graph, self.revision, attempts, self.admitted, self.now,
            max_steps_per_stage=self.limit, start_seconds=self.start_seconds,
        )  # fmt: skip

    def decide(self, *, crash_after: int | None = None, seen: StarProcessingStatus | None = None) -> Decision:
        """One reconciliation. `crash_after` actions the operator dies: the status is then not written."""
        decision = decide(self.observe(seen))
        # The API server would refuse anything else.
        assert StarProcessingStatus.model_validate(decision.status.to_dict()) == decision.status
        stopped: set[str] = set()
        for index, action in enumerate(decision.actions):
            if index == crash_after:
                return decision
            match action:
                case StartRun(run):
                    assert not stopped & run.numbers.keys(), "started before the pod that was stopped has ended"
                    self._create(run, decision.status)
                case StopJob(name):
                    stopped |= self.jobs.pop(name).run.numbers.keys()
                case LimitPod(pod, seconds):
                    self.jobs[pod.removesuffix("-pod")].limit(seconds)
                case ReleaseJob(one):
                    assert self.jobs[one.job].ended, "a Job that still runs was released"
                    self.jobs[one.job].released = True
        if crash_after is None or crash_after > len(decision.actions):
            self.status = decision.status
        return decision

    def _create(self, run: Run, status: StarProcessingStatus) -> None:
        if run.job in self.jobs:
            return  # the API server answers that it exists already
        active = {step for job in self.jobs.values() if not job.ended for step in job.steps}
        assert not active & run.numbers.keys(), f"two attempts at {active & run.numbers.keys()} run side by side"
        states = {one.name: one.state for one in status.steps}
        if not isinstance(run, SalvageRun):
            earlier: set[str] = set()
            for step in run.numbers:
                for upstream in self.graph.step(step).upstream:
                    known = states[upstream].final or upstream in earlier
                    assert known, f"{step} started before {upstream} was final"
                earlier.add(step)
        else:
            assert run.order.attempt not in self.jobs or self.jobs[run.order.attempt].ended
        job = self.jobs[run.job] = SimulatedJob(run, self)
        self.created.append(job.label)

    def begin(self, step: str, job: SimulatedJob) -> None:
        made = f"{step}/{job.run.numbers[step]}"
        assert self.forgetful or made not in self.begun, f"{made} began twice"
        self.begun.append(made)

    # What happens meanwhile

    def active(self) -> list[SimulatedJob]:
        return [job for job in self.jobs.values() if not job.ended]

    def active_steps(self) -> set[str]:
        return {step for job in self.active() for step in job.steps}

    def job_of(self, step: str) -> SimulatedJob:
        """The newest Job that runs, or has run, a step."""
        return [job for job in self.jobs.values() if step in job.steps][-1]

    def begin_step(self, step: str) -> None:
        """Until its module runs."""
        job = self.job_of(step)
        while job.running != names.step_container(step):
            job.tick()

    def end_step(self, step: str) -> None:
        """Until its module has ended."""
        self.begin_step(step)
        self.job_of(step).tick()

    def finish(self, *steps: str) -> None:
        """Until the Jobs of these steps have ended."""
        for step in steps:
            self.job_of(step).finish()

    def lose(self, step: str) -> None:
        """Somebody deletes the Job."""
        del self.jobs[self.job_of(step).name]

    def run(self, rounds: int = 500) -> "World":
        """To the end; Jobs end one after the other, the clock moves where nothing else does."""
        for _ in range(rounds):
            before = self.status
            decision = self.decide()
            if self.status.state.at_rest and not self.active():
                return self
            if able := [job for job in self.active() if not job.stuck]:
                able[0].go_on()
            elif decision.again_after is not None:
                self.time += decision.again_after
            elif not decision.actions and self.status == before:
                raise AssertionError(f"stuck in {self.status.to_dict()}")
        raise AssertionError(f"not finished after {rounds} rounds")

    # What can be asked

    def step(self, name: str) -> StepStatus:
        return next(step for step in self.status.steps if step.name == name)

    def states(self) -> dict[str, str]:
        return {step.name: step.state.value for step in self.status.steps}

    def stage(self, step: str, attempt: int = 1) -> StageRun:
        runs = (job.run for job in self.jobs.values())
        return next(one for one in runs if isinstance(one, StageRun) and one.numbers.get(step) == attempt)

    def condition(self, kind: str) -> tuple[str, str, str]:
        one = next(one for one in self.status.conditions if one.type == kind)
        return one.status, one.reason, one.message

    @property
    def state(self) -> StarState:
        return self.status.state


def stamp(seconds: float) -> str:
    """RFC 3339 in whole seconds, as the API server writes times."""
    return datetime.fromtimestamp(1_900_000_000 + int(-(-seconds // 1)), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
