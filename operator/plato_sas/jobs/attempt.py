"""One Job of a star as observed: the progress of each of its steps."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, TypeVar

from plato_sas.api import Document
from plato_sas.jobs import names
from plato_sas.jobs.failure import Failure, classify
from plato_sas.jobs.pods import (
    container_statuses,
    messages,
    newest,
    pod_finished,
    pod_started,
    start_problem,
    succeeded,
)
from plato_sas.stager.messages import Published, PublishedStep, StagedIn, Withheld, parse_published, parse_staged_in
from plato_sas.text import printable, reason_word

T = TypeVar("T")


class AttemptState(StrEnum):
    """An attempt's Job as a whole."""

    ACTIVE = "Active"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True)
class StepTimes:
    """When a step's container started and finished; None for what has not happened yet."""

    started_at: str | None = None
    finished_at: str | None = None


@dataclass(frozen=True)
class Attempt:
    """One Job of a star. `numbers`: its steps in order, with their attempt numbers.

    A salvage runs no module: its steps completed in an earlier Job. Nor does a check, which reports reused steps.
    """

    job: str
    numbers: Mapping[str, int]
    state: AttemptState
    salvage: int = 0  # the salvage's number, from 1; 0 for a Job that runs modules
    check: bool = False
    begun: Mapping[str, StepTimes] = field(default_factory=dict)
    completed: frozenset[str] = frozenset()  # steps whose module exited with code 0
    published: Mapping[str, PublishedStep] = field(default_factory=dict)
    withheld: Mapping[str, Withheld] = field(default_factory=dict)
    reused: Mapping[str, PublishedStep] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    failure: Failure | None = None
    created_at: str = ""
    started_at: str | None = None
    finished_at: str | None = None
    waiting: tuple[str, str] | None = None  # reason and message of what blocks the pod
    pod: str | None = None
    pod_started_at: str | None = None
    idle_since: str | None = None  # when the kubelet could have begun the next container, if none of ours runs
    pod_deadline: int | None = None  # in seconds from its start
    leaving: bool = False  # its deletion has begun

    @property
    def active(self) -> bool:
        return self.state is AttemptState.ACTIVE

    @property
    def reported(self) -> frozenset[str]:
        """The steps that stage-in or publish has reported."""
        return frozenset(self.published.keys() | self.withheld.keys() | self.reused.keys())

    @property
    def current(self) -> str | None:
        """The step that runs or runs next; None once all have completed."""
        return next((step for step in self.numbers if step not in self.completed), None)


def job_finished(job: Document) -> bool:
    """Whether the Job controller has declared the Job complete or failed: a second or two after its pod finished."""
    return _declared(job) is not AttemptState.ACTIVE


def pods_up_to_date(job: Document, pods: Iterable[Document]) -> bool:
    """Whether the pods in hand agree with the Job: if not, they are older than it and must be read again."""
    match _declared(job):
        case AttemptState.SUCCEEDED:
            return any(map(succeeded, pods))
        case AttemptState.FAILED:
            pod = newest(pods)
            return pod is not None and pod_finished(pod)
        case AttemptState.ACTIVE:
            return True


def attempt(job: Document, pods: Iterable[Document]) -> Attempt:
    """Read an attempt from its Job and the Job's pods.

    A Job has one pod and finishes with it; the Job controller says so a second or two later. A finished Job whose pod
    is missing or disagrees counts as lost, so the caller must have read the pods again (`pods_up_to_date`).
    """
    metadata = job["metadata"]
    pod = newest(pods)
    state = _state(job, pod)
    numbers = names.annotated_steps(metadata.get("annotations", {}).get(names.STEPS_ANNOTATION, ""))
    status = job.get("status", {})
    common: dict[str, Any] = {
        "job": metadata["name"],
        "numbers": numbers,
        "state": state,
        "salvage": names.salvage_number(job["metadata"]["name"]) if _is_salvage(job) else 0,
        "check": _is_check(job),
        "begun": _begun(pod),
        "completed": _completed(pod),
        "created_at": metadata.get("creationTimestamp", ""),
        "started_at": status.get("startTime"),
        "leaving": "deletionTimestamp" in metadata,
        "pod": pod["metadata"]["name"] if pod is not None else None,
        "pod_started_at": pod_started(pod) if pod is not None else None,
        "idle_since": _idle_since(pod),
        "pod_deadline": pod["spec"].get("activeDeadlineSeconds") if pod is not None else None,
    }
    texts = messages(pod) if pod is not None else {}
    looked = parse_staged_in(texts.get(names.CHECK if _is_check(job) else names.STAGE_IN, ""))
    staged = looked or StagedIn()
    if state is AttemptState.ACTIVE:
        return Attempt(waiting=_waiting(job, pod), inputs=staged.inputs, **common)
    report = parse_published(texts.get(names.PUBLISH, ""))
    found = Attempt(
        finished_at=_finished_at(job, pod),
        inputs=staged.inputs,
        reused=_of(numbers, staged.reused),
        published=_of(numbers, (report or Published()).steps),
        withheld=_of(numbers, (report or Published()).failed),
        **common,
    )
    reported = found.reported or report is not None or (found.check and looked is not None)
    return found if reported else replace(found, failure=classify(job, pod))


def _of(numbers: Mapping[str, int], reports: Mapping[str, T]) -> dict[str, T]:
    """The reports on the Job's own steps."""
    return {name: one for name, one in reports.items() if name in numbers}


def _is_salvage(job: Document) -> bool:
    return not _is_check(job) and not job["spec"]["template"]["spec"].get("initContainers")


def _is_check(job: Document) -> bool:
    return names.CHECK_ANNOTATION in job["metadata"].get("annotations", {})


def _declared(job: Document) -> AttemptState:
    for condition in job.get("status", {}).get("conditions", []):
        if condition["status"] == "True":
            if condition["type"] == "Complete":
                return AttemptState.SUCCEEDED
            if condition["type"] == "Failed":
                return AttemptState.FAILED
    return AttemptState.ACTIVE


def _state(job: Document, pod: Document | None) -> AttemptState:
    declared = _declared(job)
    if declared is AttemptState.ACTIVE and pod is not None and pod_finished(pod):
        return AttemptState.SUCCEEDED if succeeded(pod) else AttemptState.FAILED
    return declared


def _begun(pod: Document | None) -> dict[str, StepTimes]:
    found = {}
    for container in container_statuses(pod):
        step = names.container_step(str(container["name"]))
        if step is None:
            continue
        state = container.get("state", {})
        if "running" in state:
            found[step] = StepTimes(state["running"].get("startedAt"))
        elif "terminated" in state:
            found[step] = StepTimes(state["terminated"].get("startedAt"), state["terminated"].get("finishedAt"))
    return found


def _completed(pod: Document | None) -> frozenset[str]:
    steps = (
        names.container_step(str(container["name"]))
        for container in container_statuses(pod)
        if container.get("state", {}).get("terminated", {}).get("exitCode") == 0
    )
    return frozenset(step for step in steps if step is not None)


def _finished_at(job: Document, pod: Document | None) -> str | None:
    ends = [
        container["state"]["terminated"]
        for container in container_statuses(pod)
        if "terminated" in container.get("state", {})
    ]
    known = [str(one["finishedAt"]) for one in ends if one.get("finishedAt")]
    # A pod stopped before its next container began has outlived the last container that completed.
    if known and ((pod is not None and succeeded(pod)) or any(one["exitCode"] for one in ends)):
        return max(known)
    status = job.get("status", {})
    if "completionTime" in status:
        return str(status["completionTime"])
    times = [str(c["lastTransitionTime"]) for c in status.get("conditions", []) if c["type"] == "Failed"]
    return times[0] if times else None


def _idle_since(pod: Document | None) -> str | None:
    if pod is None or pod_finished(pod):
        return None
    states = [container.get("state", {}) for container in container_statuses(pod)]
    if any("running" in state for state in states):
        return None
    ends = [str(state["terminated"].get("finishedAt")) for state in states if "terminated" in state]
    return max(ends, default=pod_started(pod))


def _waiting(job: Document, pod: Document | None) -> tuple[str, str] | None:
    found = _blocked(pod) if pod is not None else _suspended(job)
    return (reason_word(found[0]), printable(found[1])) if found is not None else None


def _suspended(job: Document) -> tuple[str, str] | None:
    if not job["spec"].get("suspend"):
        return None
    return "JobSuspended", f"Job {job['metadata']['name']} is suspended, by a queue or by hand"


def _blocked(pod: Document) -> tuple[str, str] | None:
    problem = start_problem(pod)
    if problem is not None:
        return problem[1:]
    for condition in pod.get("status", {}).get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("reason", "Unschedulable")), str(condition.get("message", ""))
    return None
