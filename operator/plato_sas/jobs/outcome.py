"""What a Job and its pod say about an attempt."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from plato_sas.jobs import names
from plato_sas.stager.messages import (
    Problem,
    PublishedStep,
    parse_problem,
    parse_published,
    parse_staged_in,
)

Document = Mapping[str, Any]

_TEMPORARY_EXIT = 75
# Problems of the volume or the node rather than of the star's data or the module.
_STAGER_TEMPORARY = frozenset({"StageInFailed", "PublishFailed"})
# Why a container does not begin; the kubelet goes on trying.
_START_PROBLEMS = frozenset(
    {
        "ErrImagePull",
        "ImagePullBackOff",
        "InvalidImageName",
        "ErrImageNeverPull",
        "CreateContainerConfigError",
        "CreateContainerError",
        "RunContainerError",
    }
)
# What the container runtime (exit code 255) and the kubelet (137) say of a container that they have lost, mostly
# over a restart of the node. Both codes are made up.
_LOST = frozenset({"Unknown", "ContainerStatusUnknown"})
# The kubelet's words (emptyDirMessageFmt in pkg/kubelet/eviction/helpers.go), for a module's own scratch.
_SCRATCH_FULL = re.compile(r'EmptyDir volume "scratch-([a-z0-9-]+)"')


class FailureClass(StrEnum):
    """Who can mend a failure decides whether it is tried again."""

    SCIENCE = "Science"
    TEMPORARY = "Temporary"
    OUT_OF_MEMORY = "OutOfMemory"
    INFRASTRUCTURE = "Infrastructure"


@dataclass(frozen=True)
class Failure:
    """Why an attempt failed, and at which step (None: before any step began)."""

    kind: FailureClass
    reason: str
    message: str
    step: str | None = None
    exit_code: int | None = None
    finished_at: str | None = None


class AttemptState(StrEnum):
    """An attempt's Job as a whole."""

    ACTIVE = "Active"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"


@dataclass(frozen=True)
class Attempt:
    """One Job of a star, as observed."""

    job: str
    steps: tuple[str, ...]
    number: int
    state: AttemptState
    published: Mapping[str, PublishedStep] = field(default_factory=dict)
    inputs: Mapping[str, str] = field(default_factory=dict)
    failure: Failure | None = None
    started_at: str | None = None
    finished_at: str | None = None
    waiting: tuple[str, str] | None = None  # reason and message of what holds the pod up
    has_pod: bool = True
    released: bool = False  # its removal has been arranged


def finished(job: Document) -> bool:
    """Whether the Job controller has declared the Job complete or failed."""
    return _job_state(job) is not AttemptState.ACTIVE


def terminal(pod: Document) -> bool:
    """Whether the pod has stopped for good."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def settled(job: Document, pods: Iterable[Document]) -> bool:
    """Whether the pods in hand agree with the Job: if not, they are older than it and must be asked for.

    A complete Job has a pod that succeeded. A failed Job's newest pod has stopped, and not by a disruption: the Job
    would have replaced that one. A Job that is not finished agrees with any pods.
    """
    match _job_state(job):
        case AttemptState.SUCCEEDED:
            return any(map(_succeeded, pods))
        case AttemptState.FAILED:
            newest = _newest(pods)
            return newest is not None and terminal(newest) and not _disrupted(newest)
        case AttemptState.ACTIVE:
            return True


def attempt(job: Document, pods: Iterable[Document]) -> Attempt:
    """An attempt from its Job and the pods it made.

    A finished Job without a pod that finished so is reported as lost; whoever calls must have looked for the pod.
    """
    labels = job["metadata"].get("labels", {})
    state = _job_state(job)
    pod = _telling(state, pods)
    status = job.get("status", {})
    common: dict[str, Any] = {
        "job": job["metadata"]["name"],
        "steps": _steps(job),
        "number": int(labels.get(names.ATTEMPT_LABEL, "0")),
        "released": "ttlSecondsAfterFinished" in job["spec"] or "deletionTimestamp" in job["metadata"],
        "started_at": status.get("startTime"),
    }
    if state is AttemptState.ACTIVE:
        waiting = _waiting(pod) if pod is not None else None
        return Attempt(state=state, waiting=waiting, has_pod=pod is not None, **common)
    common["finished_at"] = _finished_at(status)
    messages = _messages(pod)
    staged = parse_staged_in(messages.get(names.STAGE_IN, ""))
    common["inputs"] = staged.inputs if staged else {}
    published = parse_published(messages.get(names.PUBLISH, ""))
    if state is AttemptState.SUCCEEDED and published is not None:
        return Attempt(state=state, published=published.steps, **common)
    failure = _failure(job, pod)
    return Attempt(state=AttemptState.FAILED, failure=failure, **common)


def _telling(state: AttemptState, pods: Iterable[Document]) -> Document | None:
    """The pod that tells how the Job stands: disrupted pods are replaced within the Job, so there can be several."""
    if state is AttemptState.SUCCEEDED:
        return _newest(filter(_succeeded, pods))
    if state is AttemptState.FAILED:
        return _newest(filter(terminal, pods))
    return _newest(pods)


def _newest(pods: Iterable[Document]) -> Document | None:
    """Creation times are whole seconds; of two within one, a pod that still runs replaced one that has stopped."""
    return max(
        pods, key=lambda pod: (str(pod["metadata"].get("creationTimestamp", "")), not terminal(pod)), default=None
    )


def _succeeded(pod: Document) -> bool:
    return bool(pod.get("status", {}).get("phase") == "Succeeded")


def _disrupted(pod: Document) -> bool:
    conditions = pod.get("status", {}).get("conditions", [])
    return any(one["type"] == "DisruptionTarget" and one["status"] == "True" for one in conditions)


def _job_state(job: Document) -> AttemptState:
    for condition in job.get("status", {}).get("conditions", []):
        if condition["status"] == "True":
            if condition["type"] == "Complete":
                return AttemptState.SUCCEEDED
            if condition["type"] == "Failed":
                return AttemptState.FAILED
    return AttemptState.ACTIVE


def _steps(job: Document) -> tuple[str, ...]:
    containers = job["spec"]["template"]["spec"]["initContainers"]
    found = (names.container_step(container["name"]) for container in containers)
    return tuple(step for step in found if step is not None)


def _finished_at(status: Document) -> str | None:
    if "completionTime" in status:
        return str(status["completionTime"])
    times = [c.get("lastTransitionTime") for c in status.get("conditions", []) if c["type"] == "Failed"]
    return times[0] if times else None


def _container_statuses(pod: Document | None) -> list[Document]:
    if pod is None:
        return []
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def _messages(pod: Document | None) -> dict[str, str]:
    found = {}
    for container in _container_statuses(pod):
        terminated = container.get("state", {}).get("terminated")
        if terminated:
            found[container["name"]] = str(terminated.get("message", ""))
    return found


def _start_problem(pod: Document) -> tuple[str, str, str] | None:
    """Name of a container that cannot begin, reason and message."""
    for container in _container_statuses(pod):
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason") in _START_PROBLEMS:
            return str(container["name"]), str(waiting["reason"]), str(waiting.get("message", ""))
    return None


def _waiting(pod: Document) -> tuple[str, str] | None:
    problem = _start_problem(pod)
    if problem is not None:
        return problem[1:]
    for condition in pod.get("status", {}).get("conditions", []):
        if condition["type"] == "PodScheduled" and condition["status"] == "False":
            return str(condition.get("reason", "Unschedulable")), str(condition.get("message", ""))
    return None


def _failure(job: Document, pod: Document | None) -> Failure:
    if pod is None:
        name = job["metadata"]["name"]
        return Failure(FailureClass.INFRASTRUCTURE, "PodLost", f"the pod of Job {name} is gone")
    if pod["status"].get("reason") == "Evicted":
        return _evicted(pod)
    for container in _container_statuses(pod):
        terminated = container.get("state", {}).get("terminated")
        if terminated and terminated["exitCode"] != 0:
            return _container_failure(pod, str(container["name"]), terminated)
    if _succeeded(pod):
        return Failure(FailureClass.INFRASTRUCTURE, "StagerFailed", f"{names.PUBLISH} ended without a report")
    reason = str(pod["status"].get("reason", "PodFailed"))
    message = str(pod["status"].get("message", "the pod failed before a container did"))
    if reason == "DeadlineExceeded":
        return _stopped_without_failure(pod)
    return Failure(FailureClass.INFRASTRUCTURE, reason, message)


def _evicted(pod: Document) -> Failure:
    """The kubelet put the pod out: for the node's sake, or because the module filled its scratch."""
    message = str(pod["status"].get("message", ""))
    scratch = _SCRATCH_FULL.search(message)
    if scratch:
        return Failure(FailureClass.SCIENCE, "ScratchFull", message, scratch[1])
    return Failure(FailureClass.INFRASTRUCTURE, "Evicted", message, _last_step(pod))


def _last_step(pod: Document) -> str | None:
    """The step that was running, or had run last."""
    begun = [
        names.container_step(str(one["name"]))
        for one in _container_statuses(pod)
        if one.get("state", {}).keys() & {"running", "terminated"}
    ]
    return next((step for step in reversed(begun) if step is not None), None)


def _container_failure(pod: Document, container: str, terminated: Document) -> Failure:
    step = names.container_step(container)
    exit_code = int(terminated["exitCode"])
    message = str(terminated.get("message", "")).strip()
    at = terminated.get("finishedAt")
    if terminated.get("reason") in _LOST:
        return _container_lost(pod, container, message, at)
    if step is None:
        return _stager_failure(container, parse_problem(message), message, exit_code, at)
    if pod["status"].get("reason") == "DeadlineExceeded":
        return _timed_out(pod, step)
    if terminated.get("reason") == "OOMKilled":
        text = f"step {step} was killed for using more memory than its limit"
        return Failure(FailureClass.OUT_OF_MEMORY, "OOMKilled", text, step, exit_code, at)
    if terminated.get("reason") in ("StartError", "ContainerCannotRun"):
        text = f"step {step}: the container could not be started: {message}"
        return Failure(FailureClass.SCIENCE, "ContainerCannotRun", text, step, exit_code, at)
    if exit_code == _TEMPORARY_EXIT:
        return Failure(FailureClass.TEMPORARY, "TemporaryFailure", message, step, exit_code, at)
    return Failure(FailureClass.SCIENCE, "ModuleFailed", message, step, exit_code, at)


def _stager_failure(container: str, problem: Problem | None, message: str, exit_code: int, at: str | None) -> Failure:
    if problem is None:
        text = f"{container} ended with exit code {exit_code}: {message}"
        return Failure(FailureClass.INFRASTRUCTURE, "StagerFailed", text, None, exit_code, at)
    kind = FailureClass.INFRASTRUCTURE if problem.reason in _STAGER_TEMPORARY else FailureClass.SCIENCE
    # A module that was at fault ended with exit code 0; the stager's own code would mislead.
    return Failure(kind, problem.reason, problem.message, problem.step or None, None, at)


def _container_lost(pod: Document, container: str, message: str, at: str | None) -> Failure:
    said = "; ".join(text for text in (message, str(pod["status"].get("message", ""))) if text)
    text = f"the node does not know how container {container} ended, or whether it began: {said or 'was it restarted?'}"
    return Failure(FailureClass.INFRASTRUCTURE, "ContainerLost", text, names.container_step(container), None, at)


def _stopped_without_failure(pod: Document) -> Failure:
    """The pod's time ran out while no container failed: one could not begin, or a module took its end for success."""
    limit = pod["spec"].get("activeDeadlineSeconds")
    problem = _start_problem(pod)
    if problem is not None:
        container, reason, message = problem
        text = f"container {container} could not begin within {limit} s: {message}"
        return Failure(FailureClass.INFRASTRUCTURE, reason, text, names.container_step(container))
    step = _last_step(pod)
    if step is None:
        text = f"no step began within the pod's limit of {limit} s"
        return Failure(FailureClass.INFRASTRUCTURE, "NotStarted", text)
    return _timed_out(pod, step)


def _timed_out(pod: Document, step: str) -> Failure:
    limit = pod["spec"].get("activeDeadlineSeconds")
    text = f"the pod ran longer than its limit of {limit} s and was stopped"
    return Failure(FailureClass.SCIENCE, "DeadlineExceeded", text, step)
