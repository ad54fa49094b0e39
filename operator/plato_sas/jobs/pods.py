"""Reading a pod's status."""

from collections.abc import Iterable

from plato_sas.document import Document
from plato_sas.jobs import names

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


def pod_finished(pod: Document) -> bool:
    """Whether all its containers have stopped for good."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")


def succeeded(pod: Document) -> bool:
    return bool(pod.get("status", {}).get("phase") == "Succeeded")


def newest(pods: Iterable[Document]) -> Document | None:
    """Creation times are whole seconds; of two within one, a pod that still runs replaced one that has stopped."""
    return max(
        pods, key=lambda pod: (str(pod["metadata"].get("creationTimestamp", "")), not pod_finished(pod)), default=None
    )


def disruption(pod: Document) -> Document | None:
    """The condition that says that the pod was evicted, preempted or lost with its node."""
    for condition in pod.get("status", {}).get("conditions", []):
        if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
            found: Document = condition
            return found
    return None


def pod_started(pod: Document) -> str | None:
    """When the kubelet took the pod on."""
    started: str | None = pod.get("status", {}).get("startTime")
    return started


def container_statuses(pod: Document | None) -> list[Document]:
    """Of all containers, in the order in which they run."""
    if pod is None:
        return []
    status = pod.get("status", {})
    return [*status.get("initContainerStatuses", []), *status.get("containerStatuses", [])]


def messages(pod: Document) -> dict[str, str]:
    """Termination messages by container."""
    found = {}
    for container in container_statuses(pod):
        terminated = container.get("state", {}).get("terminated")
        if terminated:
            found[str(container["name"])] = str(terminated.get("message", ""))
    return found


def start_problem(pod: Document) -> tuple[str, str, str] | None:
    """Name of a container that cannot begin, reason and message."""
    for container in container_statuses(pod):
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason") in _START_PROBLEMS:
            return str(container["name"]), str(waiting["reason"]), str(waiting.get("message", ""))
    return None


def last_step(pod: Document) -> str | None:
    """The step that was running, or had run last."""
    begun = [
        names.container_step(str(one["name"]))
        for one in container_statuses(pod)
        if one.get("state", {}).keys() & {"running", "terminated"}
    ]
    return next((step for step in reversed(begun) if step is not None), None)
