"""Read a pod's status."""

from collections.abc import Iterable

from plato_sas.api import Document
from plato_sas.jobs import names

# Why a container cannot start; the kubelet keeps trying.
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
    """Whether the pod has finished: none of our containers will run again."""
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed") or outlived(pod)


def outlived(pod: Document) -> bool:
    """Whether only a container that a site has injected, such as a service mesh's, keeps the pod alive."""
    if pod.get("status", {}).get("phase") != "Running" or _main_exit(pod) is None:
        return False
    # Without one, the pod is about to finish: the kubelet says so a moment after its last container's end.
    return any("running" in one.get("state", {}) for one in _all_statuses(pod) if not names.ours(str(one["name"])))


def succeeded(pod: Document) -> bool:
    return bool(pod.get("status", {}).get("phase") == "Succeeded") or (outlived(pod) and _main_exit(pod) == 0)


def _main_exit(pod: Document) -> int | None:
    """The exit code of our main container, which ends last; None while it has not ended."""
    for container in pod["status"].get("containerStatuses", []):
        terminated = container.get("state", {}).get("terminated")
        if names.ours(str(container["name"])) and terminated:
            return int(terminated["exitCode"])
    return None


def newest(pods: Iterable[Document]) -> Document | None:
    """The pod created last; of two created in the same second, the one that still runs."""
    return max(
        pods, key=lambda pod: (str(pod["metadata"].get("creationTimestamp", "")), not pod_finished(pod)), default=None
    )


def disruption(pod: Document) -> Document | None:
    """The condition set when the pod was evicted, preempted or lost with its node."""
    for condition in pod.get("status", {}).get("conditions", []):
        if condition["type"] == "DisruptionTarget" and condition["status"] == "True":
            found: Document = condition
            return found
    return None


def pod_started(pod: Document) -> str | None:
    """When the kubelet accepted the pod."""
    started: str | None = pod.get("status", {}).get("startTime")
    return started


def container_statuses(pod: Document | None) -> list[Document]:
    """The statuses of our containers, in the order in which they run; a site may have injected others."""
    return [one for one in _all_statuses(pod) if names.ours(str(one["name"]))]


def container_count(pod: Document) -> int:
    """How many containers share the pod's room for messages, injected ones included."""
    return len(_all_statuses(pod))


def _all_statuses(pod: Document | None) -> list[Document]:
    status = pod.get("status", {}) if pod is not None else {}
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
    """Name, reason and message of a container that cannot start."""
    for container in container_statuses(pod):
        waiting = container.get("state", {}).get("waiting", {})
        if waiting.get("reason") in _START_PROBLEMS:
            return str(container["name"]), str(waiting["reason"]), str(waiting.get("message", ""))
    return None


def last_step(pod: Document) -> str | None:
    """The step that runs or ran last."""
    begun = [
        names.container_step(str(one["name"]))
        for one in container_statuses(pod)
        if one.get("state", {}).keys() & {"running", "terminated"}
    ]
    return next((step for step in reversed(begun) if step is not None), None)
