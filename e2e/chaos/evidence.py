"""What Kubernetes' objects say, in the judge's terms. Pure."""

import json
from collections.abc import Iterator

from e2e.chaos.judge import JobSeen, PodSeen, Publication, StarSeen, StepSeen
from plato_sas.api import Document

_STAR = "plato-sas.io/star"
_SOURCE = "pods' reports"
_PUBLISH = "publish"
_ORDER = "SAS_PUBLISH"


def star_seen(item: Document) -> StarSeen:
    status = item.get("status", {})
    steps = {
        step["name"]: StepSeen(step["state"], step.get("reason"), step.get("digest"), step.get("retries") or {})
        for step in status.get("steps", [])
    }
    return StarSeen(item["metadata"]["name"], item["metadata"]["uid"], status.get("state", ""), steps)


def job_seen(item: Document, *, gone: bool = False) -> JobSeen:
    ended = any(
        one["type"] in ("Complete", "Failed") and one["status"] == "True"
        for one in item.get("status", {}).get("conditions", [])
    )
    metadata = item["metadata"]
    star = metadata.get("labels", {}).get(_STAR, "")
    return JobSeen(metadata["name"], metadata["uid"], star, _owners(item), active=not ended, gone=gone)


def pod_seen(item: Document) -> PodSeen:
    metadata = item["metadata"]
    running = item.get("status", {}).get("phase") not in ("Succeeded", "Failed")
    return PodSeen(metadata["name"], metadata.get("labels", {}).get(_STAR, ""), _owners(item), running)


def _owners(item: Document) -> frozenset[str]:
    return frozenset(one["uid"] for one in item["metadata"].get("ownerReferences", []))


def reports(pod: Document) -> Iterator[Publication]:
    """The steps that a pod says to have published: its termination message is written after the rename.

    The attempt counts, not the pod: one that was published before is reported again when it is asked for again.
    """
    metadata = pod["metadata"]
    star = metadata.get("labels", {}).get(_STAR, "")
    for container in pod.get("status", {}).get("containerStatuses", []):
        terminated = container.get("state", {}).get("terminated")
        if container["name"] == _PUBLISH and terminated:
            for step in _steps(terminated.get("message", "")):
                yield Publication(star, step, _SOURCE, _attempt(pod))


def _attempt(pod: Document) -> str:
    """The attempt that a pod was to publish."""
    for container in pod["spec"]["containers"]:
        for variable in container.get("env", []):
            if container["name"] == _PUBLISH and variable["name"] == _ORDER:
                return str(json.loads(variable["value"])["attempt"])
    raise ValueError(f"pod {pod['metadata']['name']}: container {_PUBLISH} has no {_ORDER}")


def _steps(message: str) -> list[str]:
    try:
        steps = json.loads(message).get("steps", {})
    except (ValueError, AttributeError):
        return []
    return list(steps) if isinstance(steps, dict) else []
