"""What all Jobs of the operator share: one locked-down pod with the site's settings."""

from collections.abc import Mapping
from typing import Any

from plato_sas.api import Document
from plato_sas.jobs import names
from plato_sas.jobs.stage import Owner, Site

OUTPUT_MOUNT = "/sas/out"
SCRATCH_MOUNT = "/tmp"  # noqa: S108 - a container's own emptyDir
LOCKED_DOWN = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
_GRACE_SECONDS = 10


def one_pod_job(
    name: str,
    owner: Owner,
    labels: Mapping[str, str],
    annotations: Mapping[str, str],
    site: Site,
    body: Mapping[str, Any],
) -> Document:
    """A Job of one pod: `body` has the pod's containers, volumes and deadline."""
    carried = {names.MANAGED_BY_LABEL: names.MANAGER, **labels}
    if names.QUEUE_LABEL in owner.labels:
        carried[names.QUEUE_LABEL] = owner.labels[names.QUEUE_LABEL]
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": name,
            "namespace": owner.namespace,
            "labels": carried,
            "annotations": dict(annotations),
            "ownerReferences": [owner.reference()],
        },
        "spec": {
            # Never a second pod, not even after a disruption: the operator decides what to do next, since it knows
            # what need not run again.
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "template": {"metadata": _pod_metadata(carried, site), "spec": _pod(site, body)},
        },
    }


def _pod_metadata(labels: Mapping[str, str], site: Site) -> Document:
    # The operator finds its pods by its own labels, and the NetworkPolicy selects them: the site cannot replace one.
    metadata: Document = {"labels": {**dict(site.pod_labels), **labels}}
    if site.pod_annotations:
        metadata["annotations"] = dict(site.pod_annotations)
    return metadata


def _pod(site: Site, body: Mapping[str, Any]) -> Document:
    spec: Document = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # Modules need no cluster names, and a node without cluster DNS can run them.
        "dnsPolicy": "Default",
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": site.user,
            "runAsGroup": site.user,
            "fsGroup": site.user,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **body,
    }
    if site.image_pull_secrets:
        spec["imagePullSecrets"] = [{"name": name} for name in site.image_pull_secrets]
    if site.node_selector:
        spec["nodeSelector"] = dict(site.node_selector)
    if site.tolerations:
        spec["tolerations"] = list(site.tolerations)
    if site.priority_class:
        spec["priorityClassName"] = site.priority_class
    return spec


def products_volume(site: Site) -> Document:
    return {"name": "products", "persistentVolumeClaim": {"claimName": site.products_claim}}


def variable(name: str, value: str) -> Document:
    """A variable of a container's environment, with a literal value."""
    # Kubernetes expands $(NAME) in values; $$ is a literal dollar.
    return {"name": name, "value": value.replace("$", "$$")}


def owned_by(job: Document, uid: str | None) -> bool:
    """Whether a Job belongs to the resource with this uid, not to an earlier one of the same name."""
    return any(one["uid"] == uid for one in job["metadata"].get("ownerReferences", []))
