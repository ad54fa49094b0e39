"""Why an attempt failed: from the Job and its pod to a class, a reason and the step at fault."""

import re
import signal
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from plato_sas.api import Document, parse_time
from plato_sas.jobs import names
from plato_sas.jobs.one_pod import OUTPUT_MOUNT
from plato_sas.jobs.pods import (
    container_statuses,
    disruption,
    last_step,
    pod_started,
    start_problem,
    succeeded,
)
from plato_sas.stager.messages import Problem, parse_problem
from plato_sas.text import printable, reason_word

TIMED_OUT = "DeadlineExceeded"
NOT_STARTED = "NotStarted"
_MODULE_FAILED = "ModuleFailed"
_TEMPORARY_EXIT = 75
# SIGKILL and SIGTERM from outside: no module exits like this by itself.
_STOPPED_EXITS = frozenset({137, 143})
# Problems of the volume or the node, not of the star's data or the module.
_STAGER_TEMPORARY = frozenset({"StageInFailed", "PublishFailed"})
# What the container runtime (exit code 255) and the kubelet (137) report for a container they have lost, mostly
# because the node restarted. Neither code comes from the container.
_LOST = frozenset({"Unknown", "ContainerStatusUnknown"})
# The kubelet's words (emptyDirMessageFmt in pkg/kubelet/eviction/helpers.go), for a module's own scratch.
_SCRATCH_FULL = re.compile(r'EmptyDir volume "scratch-([a-z0-9-]+)"')
# strerror(3) when the products volume accepts no data; modules in every language print it.
_NO_SPACE = ("No space left on device", "Disk quota exceeded")
_READ_ONLY = "Read-only file system"  # below OUTPUT_MOUNT: a module may write nowhere else


class FailureClass(StrEnum):
    """Who can fix a failure decides whether it is retried."""

    SCIENCE = "Science"
    TEMPORARY = "Temporary"
    OUT_OF_MEMORY = "OutOfMemory"
    INFRASTRUCTURE = "Infrastructure"


@dataclass(frozen=True)
class Failure:
    """Why an attempt failed, and at which step; None if at no step.

    Reason and message may come from outside (the kubelet, a policy, a module's log): they are made fit for a status.
    """

    kind: FailureClass
    reason: str
    message: str
    step: str | None = None
    exit_code: int | None = None
    finished_at: str | None = None

    def __post_init__(self) -> None:
        object.__setattr__(self, "reason", reason_word(self.reason))
        object.__setattr__(self, "message", printable(self.message))

    def worded(self, message: str) -> "Failure":
        """The same failure with more of the module's last lines, which may change its class."""
        if self.step is None or self.exit_code is None or self.reason != _MODULE_FAILED:
            return replace(self, message=message)
        return _module_failure(self.step, self.exit_code, message, self.finished_at)


def classify(job: Document, pod: Document | None) -> Failure:
    """The failure of a Job that finished without a report from its publish container."""
    if pod is None:
        name = job["metadata"]["name"]
        return Failure(FailureClass.INFRASTRUCTURE, "PodLost", f"the pod of Job {name} is gone")
    disturbed = _disturbed(pod)
    if disturbed is not None:
        return disturbed
    for container in container_statuses(pod):
        terminated = container.get("state", {}).get("terminated")
        if terminated and terminated["exitCode"] != 0:
            return _container_failure(pod, str(container["name"]), terminated)
    if succeeded(pod):
        return Failure(FailureClass.INFRASTRUCTURE, "StagerFailed", f"{names.PUBLISH} ended without a report")
    reason = str(pod["status"].get("reason", "PodFailed"))
    message = str(pod["status"].get("message", "the pod failed before a container did"))
    if reason == TIMED_OUT:
        return _stopped_without_failure(pod)
    return Failure(FailureClass.INFRASTRUCTURE, reason, message, last_step(pod))


def _disturbed(pod: Document) -> Failure | None:
    """What was done to the pod from outside; the containers' exit codes mean nothing then."""
    message = str(pod["status"].get("message", ""))
    scratch = _SCRATCH_FULL.search(message)
    if scratch:
        return Failure(FailureClass.SCIENCE, "ScratchFull", message, scratch[1])
    if pod["status"].get("reason") == "Evicted":
        return Failure(FailureClass.INFRASTRUCTURE, "Evicted", message, last_step(pod))
    target = disruption(pod)
    if target is not None:
        text = str(target.get("message", "")) or message
        return Failure(FailureClass.INFRASTRUCTURE, str(target.get("reason", "Disrupted")), text, last_step(pod))
    if _deleted_while_running(pod):
        name = pod["metadata"]["name"]
        return Failure(FailureClass.INFRASTRUCTURE, "PodDeleted", f"pod {name} was deleted", last_step(pod))
    return None


def _deleted_while_running(pod: Document) -> bool:
    """Whether the pod was deleted before its first failed container finished by itself."""
    deletion = pod["metadata"].get("deletionTimestamp")
    if deletion is None or succeeded(pod):
        return False
    asked = parse_time(deletion) - timedelta(seconds=int(pod["metadata"].get("deletionGracePeriodSeconds") or 0))
    for container in container_statuses(pod):
        terminated = container.get("state", {}).get("terminated")
        if terminated and terminated["exitCode"] != 0:
            at = terminated.get("finishedAt")
            return at is None or parse_time(at) >= asked
    return True


def _container_failure(pod: Document, container: str, terminated: Document) -> Failure:
    step = names.container_step(container)
    exit_code = int(terminated["exitCode"])
    message = str(terminated.get("message", "")).strip()
    at = terminated.get("finishedAt")
    if terminated.get("reason") in _LOST:
        return _container_lost(pod, container, message, at)
    if pod["status"].get("reason") == TIMED_OUT:
        return _timed_out(pod, step, container)
    if step is None:
        return _stager_failure(container, parse_problem(message), message, exit_code, at)
    if terminated.get("reason") == "OOMKilled":
        limit = _memory_limit(pod, container)
        text = f"step {step} was killed for using more memory than its limit" + (f" of {limit}" if limit else "")
        return Failure(FailureClass.OUT_OF_MEMORY, "OOMKilled", text, step, exit_code, at)
    if terminated.get("reason") in ("StartError", "ContainerCannotRun"):
        text = f"step {step}: the container could not be started: {message}"
        return Failure(FailureClass.SCIENCE, "ContainerCannotRun", text, step, exit_code, at)
    if exit_code == _TEMPORARY_EXIT:
        return Failure(FailureClass.TEMPORARY, "TemporaryFailure", message, step, exit_code, at)
    if exit_code in _STOPPED_EXITS:
        name = signal.Signals(exit_code - 128).name
        text = f"step {step} was stopped by {name} (exit code {exit_code}) from outside: {message}"
        return Failure(FailureClass.INFRASTRUCTURE, "ContainerStopped", text, step, exit_code, at)
    return _module_failure(step, exit_code, message, at)


def _memory_limit(pod: Document, container: str) -> str | None:
    for one in pod["spec"].get("initContainers", []):
        if one["name"] == container:
            limit: str | None = one.get("resources", {}).get("limits", {}).get("memory")
            return limit
    return None


def _module_failure(step: str, exit_code: int, message: str, at: str | None) -> Failure:
    if any(words in message for words in _NO_SPACE):
        return Failure(FailureClass.INFRASTRUCTURE, "NoSpaceLeft", message, step, exit_code, at)
    if any(_READ_ONLY in line and OUTPUT_MOUNT in line for line in message.splitlines()):
        return Failure(FailureClass.INFRASTRUCTURE, "OutputReadOnly", message, step, exit_code, at)
    return Failure(FailureClass.SCIENCE, _MODULE_FAILED, message or _ended_by(exit_code), step, exit_code, at)


def _ended_by(exit_code: int) -> str:
    """What an exit code says by itself; 128 and a signal's number stand for the signal."""
    try:
        return f"ended by {signal.Signals(exit_code - 128).name}, and said nothing"
    except ValueError:
        return f"ended with exit code {exit_code}, and said nothing"


def _stager_failure(container: str, problem: Problem | None, message: str, exit_code: int, at: str | None) -> Failure:
    if problem is None:
        text = f"{container} ended with exit code {exit_code}: {message}"
        return Failure(FailureClass.INFRASTRUCTURE, "StagerFailed", text, None, exit_code, at)
    kind = FailureClass.INFRASTRUCTURE if problem.reason in _STAGER_TEMPORARY else FailureClass.SCIENCE
    # The module at fault exited with code 0; the stager's own exit code would mislead.
    return Failure(kind, problem.reason, problem.message, problem.step or None, None, at)


def _container_lost(pod: Document, container: str, message: str, at: str | None) -> Failure:
    said = "; ".join(text for text in (message, str(pod["status"].get("message", ""))) if text)
    text = f"the node does not know how container {container} ended, or whether it began: {said or 'was it restarted?'}"
    return Failure(FailureClass.INFRASTRUCTURE, "ContainerLost", text, names.container_step(container), None, at)


def _stopped_without_failure(pod: Document) -> Failure:
    """The pod ran out of time but no container failed: one could not start, or a module exited with 0 on SIGTERM."""
    limit = pod["spec"].get("activeDeadlineSeconds")
    problem = start_problem(pod)
    if problem is not None:
        container, reason, message = problem
        text = f"container {container} could not begin within {limit} s: {message}"
        return Failure(FailureClass.INFRASTRUCTURE, reason, text, names.container_step(container))
    step = last_step(pod)
    if step is None:
        text = f"no step began within the pod's limit of {limit} s"
        return Failure(FailureClass.INFRASTRUCTURE, NOT_STARTED, text)
    if _finished_in_time(pod, names.step_container(step)):
        text = f"the step after {step} did not begin within the pod's limit of {limit} s"
        return Failure(FailureClass.INFRASTRUCTURE, NOT_STARTED, text)
    return _timed_out(pod, step, names.step_container(step))


def _finished_in_time(pod: Document, container: str) -> bool:
    """Whether a container had finished before the pod ran out of time."""
    limit, began = pod["spec"].get("activeDeadlineSeconds"), pod_started(pod)
    for one in container_statuses(pod):
        at = one.get("state", {}).get("terminated", {}).get("finishedAt")
        if one["name"] == container and at is not None and began is not None and limit is not None:
            return parse_time(at) < parse_time(began) + timedelta(seconds=limit)
    return False


def _timed_out(pod: Document, step: str | None, container: str) -> Failure:
    limit = pod["spec"].get("activeDeadlineSeconds")
    if step is None:
        text = f"container {container} did not end within the pod's limit of {limit} s"
        return Failure(FailureClass.INFRASTRUCTURE, "StagerFailed", text)
    text = f"step {step} exceeded its timeout and was stopped (its pod {limit} s after its start)"
    return Failure(FailureClass.SCIENCE, TIMED_OUT, text, step)
