"""The demo's light curves, written to the inputs volume by Jobs of the dp1-* images."""

import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from e2e.install.modules import digest, pinned
from e2e.kubernetes import apply, get, kubectl
from e2e.layout import VOLUMES
from e2e.processes.command import CommandFailed
from e2e.progress import phase

KEPLER_STARS = ("kic-6603624", "kic-3733735", "kic-8006161", "kic-10644253")
SIMULATED_STAR = "psls-0001"
STARS = (*KEPLER_STARS, SIMULATED_STAR)

_TIMEOUT_SECONDS = 600
_USER = 10001


@dataclass(frozen=True)
class Source:
    """An image that writes stars' inputs below /sas/out."""

    name: str
    stars: tuple[str, ...]
    memory: str

    @property
    def image(self) -> str:
        return f"localhost/plato-sas/{self.name}:0.1.0"


SOURCES = (
    Source("dp1-kepler", KEPLER_STARS, "1Gi"),
    Source("dp1-psls", (SIMULATED_STAR,), "3Gi"),
)


def prepare(namespace: str) -> None:
    """Make sure that every demo star's inputs are on the volume. Raises CommandFailed with a failed Job's log."""
    missing = [source for source in SOURCES if not _is_there(source)]
    if not missing:
        return
    with phase(f"light curves: {', '.join(source.name for source in missing)}"):
        jobs = [_job(source, namespace) for source in missing]
        for job in jobs:
            kubectl("delete", "job", job["metadata"]["name"], "--ignore-not-found", "--wait", namespace=namespace)
        apply(jobs, namespace=namespace)
        for source, job in zip(missing, jobs, strict=True):
            _await(job["metadata"]["name"], namespace)
            _marker(source).write_text(digest(source.image))


def _marker(source: Source) -> Path:
    return VOLUMES / "inputs" / f".{source.name}"


def _is_there(source: Source) -> bool:
    """Whether the image in its present build has already written its stars."""
    marker = _marker(source)
    written = all((VOLUMES / "inputs" / star / "DP1_LC_MERGED.h5").is_file() for star in source.stars)
    return written and marker.is_file() and marker.read_text() == digest(source.image) != ""


def _await(name: str, namespace: str) -> None:
    """Wait for Complete or Failed, whichever comes first. Raises CommandFailed unless it is Complete."""
    deadline = time.monotonic() + _TIMEOUT_SECONDS + 60
    while time.monotonic() < deadline:
        conditions = get("job", name, namespace=namespace).get("status", {}).get("conditions", [])
        ended = {one["type"] for one in conditions if one["status"] == "True"}
        if "Complete" in ended:
            return
        if "Failed" in ended:
            log = kubectl("logs", f"job/{name}", "--tail=20", namespace=namespace)
            raise CommandFailed(f"Job {name} failed:\n{log}")
        time.sleep(0.5)
    raise CommandFailed(f"Job {name} did not end within {_TIMEOUT_SECONDS + 60} s")


def _job(source: Source, namespace: str) -> dict[str, Any]:
    locked = {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"inputs-{source.name}", "namespace": namespace},
        "spec": {
            "backoffLimit": 0,
            "activeDeadlineSeconds": _TIMEOUT_SECONDS,
            "template": {
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "dnsPolicy": "Default",
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": _USER,
                        "runAsGroup": _USER,
                        "fsGroup": _USER,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "containers": [
                        {
                            "name": source.name,
                            "image": pinned(source.image),
                            "imagePullPolicy": "IfNotPresent",
                            "securityContext": locked,
                            "resources": {
                                "requests": {"cpu": "200m", "memory": "256Mi"},
                                "limits": {"memory": source.memory},
                            },
                            "volumeMounts": [
                                {"name": "inputs", "mountPath": "/sas/out"},
                                {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108 - the pod's own
                            ],
                        }
                    ],
                    "volumes": [
                        {"name": "inputs", "persistentVolumeClaim": {"claimName": "sas-inputs"}},
                        {"name": "scratch", "emptyDir": {"sizeLimit": "2Gi"}},
                    ],
                }
            },
        },
    }
