"""What the operator is compared with: Jobs as somebody would write them by hand, and no operator."""

import copy
import json
import time
from collections.abc import Sequence

from e2e.bench.measure import pipelines
from e2e.install.modules import pinned
from e2e.kubernetes import kubectl
from e2e.progress import phase
from plato_sas.api import Document

LABEL = "plato-sas.io/bench"
_WAIT_SECONDS = 600
# The API server's own part of a Job, which a new one gets again.
_OWN_LABELS = ("controller-uid", "job-name", "batch.kubernetes.io/controller-uid", "batch.kubernetes.io/job-name")
_LEAST_OF_POD = ("restartPolicy", "automountServiceAccountToken", "securityContext", "nodeSelector", "tolerations")
MANAGED_BY = "app.kubernetes.io/managed-by"
_LOCKED_DOWN = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def fused_job(star: str, steps: int = pipelines.STEPS) -> Document:
    """A container before, the steps one after the other, a container after: one Job, one pod, nothing staged."""

    def container(name: str, command: str) -> Document:
        return {
            "name": name,
            "image": pinned(pipelines.IMAGE),
            "imagePullPolicy": "IfNotPresent",
            "command": ["sh", "-c", command],
            "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
            "securityContext": _LOCKED_DOWN,
            "volumeMounts": [{"name": "work", "mountPath": "/work"}],
        }

    labels = {LABEL: "handmade"}
    before = container("before", "mkdir /work/out")
    modules = [container(f"step{n}", f"echo done > /work/out/{n}.h5") for n in range(1, steps + 1)]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": f"handmade-{star}", "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": {"labels": labels},
                "spec": {
                    "restartPolicy": "Never",
                    "automountServiceAccountToken": False,
                    "enableServiceLinks": False,
                    "dnsPolicy": "Default",
                    "securityContext": {
                        "runAsNonRoot": True,
                        "runAsUser": 10001,
                        "runAsGroup": 10001,
                        "fsGroup": 10001,
                        "seccompProfile": {"type": "RuntimeDefault"},
                    },
                    "initContainers": [before, *modules],
                    "containers": [container("after", "cat /work/out/*.h5 > /work/all")],
                    "volumes": [{"name": "work", "emptyDir": {"sizeLimit": "16Mi"}}],
                },
            },
        },
    }


def plain(job: Document, value: str) -> Document:
    """A Job of the operator's as a user would write it: no owner, no generated selector; `value` of LABEL for it."""
    template = copy.deepcopy(job["spec"]["template"])
    dropped = (*_OWN_LABELS, MANAGED_BY)
    labels = {key: value for key, value in template["metadata"].get("labels", {}).items() if key not in dropped}
    labels[LABEL] = value
    template["metadata"] = {"labels": labels}
    kept = ("backoffLimit", "completions", "parallelism", "podFailurePolicy", "podReplacementPolicy")
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": job["metadata"]["name"], "labels": labels},
        "spec": {**{key: job["spec"][key] for key in kept if key in job["spec"]}, "template": template},
    }


def least(job: Document) -> Document:
    """A Job of two containers, and nothing in them that a pod can do without, for the same nodes."""
    whole = job["spec"]["template"]["spec"]

    def bare(container: Document) -> Document:
        return {key: container[key] for key in ("name", "image", "command", "securityContext") if key in container}

    spec = {
        **{key: whole[key] for key in _LEAST_OF_POD if key in whole},
        "initContainers": [bare(whole["initContainers"][0])],
        "containers": [bare(whole["containers"][0])],
    }
    template = {**job["spec"]["template"], "spec": spec}
    return {**job, "spec": {**job["spec"], "template": template}}


def run_fused(namespace: str, stars: int) -> float:
    """Seconds for the hand-made fused Jobs of so many stars, from `kubectl create` to the last Job's end.

    Raises CommandFailed.
    """
    jobs = [fused_job(f"{number:02d}") for number in range(stars)]
    with phase(f"{stars} hand-made fused Jobs"):
        began = time.monotonic()
        create(jobs, namespace)
        wait_complete(f"{LABEL}=handmade", namespace)
        seconds = time.monotonic() - began
    delete(f"{LABEL}=handmade", namespace)
    return seconds


def create(jobs: Sequence[Document], namespace: str) -> None:
    """One `kubectl create` for all of them. Raises CommandFailed."""
    body = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(jobs)})
    kubectl("create", "-f", "-", namespace=namespace, stdin=body)


def apply_jobs(jobs: Sequence[Document], namespace: str) -> None:
    """One `kubectl apply` for all of them. Raises CommandFailed."""
    body = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(jobs)})
    kubectl("apply", "-f", "-", namespace=namespace, stdin=body)


def wait_complete(selector: str, namespace: str) -> None:
    """Wait until every Job of the selector is complete. Raises CommandFailed."""
    kubectl(
        *("wait", "--for=condition=Complete", "job", f"--selector={selector}", f"--timeout={_WAIT_SECONDS}s"),
        namespace=namespace,
        timeout=_WAIT_SECONDS + 10,
    )


def delete(selector: str, namespace: str) -> None:
    """Remove the Jobs and wait until their pods are gone too. Raises CommandFailed."""
    kubectl(
        *("delete", "job", f"--selector={selector}", "--cascade=foreground", "--timeout=120s"),
        namespace=namespace,
        timeout=130,
    )
