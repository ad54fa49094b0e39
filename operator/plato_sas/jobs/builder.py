"""A stage as a Job.

One pod: stage-in, then the steps one after the other as init containers, then publish. A module's container
sees its own inputs (each file by its own read-only subPath), its own output folder, its parameters and its
scratch; the stager's two containers see the volumes.
"""

from typing import Any

from plato_sas.jobs import names
from plato_sas.jobs.stage import Site, StageRun, StepRun
from plato_sas.stager.description import STAGE_VARIABLE, InputDescription, StepDescription
from plato_sas.stager.roots import INPUTS_MOUNT, PRODUCTS_MOUNT, WORK_MOUNT

Document = dict[str, Any]

_GRACE_SECONDS = 10
# Stage-in and publish read and hash every file; this is their share of the pod's deadline.
_STAGER_SECONDS = 600
_STAGER_RESOURCES = {
    "requests": {"cpu": "50m", "memory": "64Mi"},
    "limits": {"memory": "128Mi"},
}
_WORK_LIMIT = "64Mi"
_SCRATCH_MOUNT = "/tmp"  # noqa: S108 - the module's own emptyDir
_LOCKED_DOWN = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def build_job(stage: StageRun, site: Site) -> Document:
    """The Job of a stage, complete and deterministic."""
    labels = _labels(stage)
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {
            "name": stage.description.id,
            "namespace": stage.owner.namespace,
            "labels": labels,
            "ownerReferences": [stage.owner.reference()],
        },
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            # Eviction, preemption and node drain replace the pod; anything else is the operator's to judge.
            "podFailurePolicy": {
                "rules": [
                    {
                        "action": "Ignore",
                        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
                    }
                ]
            },
            "template": {"metadata": {"labels": labels}, "spec": _pod(stage, site)},
        },
    }


def _labels(stage: StageRun) -> dict[str, str]:
    labels = {
        names.MANAGED_BY_LABEL: names.MANAGER,
        names.PROCESSING_LABEL: names.label_value(stage.owner.name),
        names.STAR_LABEL: stage.description.star,
        names.CAMPAIGN_LABEL: stage.description.campaign,
        names.STEP_LABEL: stage.steps[0].name,
        names.ATTEMPT_LABEL: str(stage.attempt),
    }
    if names.QUEUE_LABEL in stage.owner.labels:
        labels[names.QUEUE_LABEL] = stage.owner.labels[names.QUEUE_LABEL]
    return labels


def _pod(stage: StageRun, site: Site) -> Document:
    described = {step.name: step for step in stage.description.steps}
    pod: Document = {
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        # Modules need no cluster names, and a node without cluster DNS can run them.
        "dnsPolicy": "Default",
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        # The pod's deadline counts from its start on a node, so that waiting for a node costs nothing.
        "activeDeadlineSeconds": _STAGER_SECONDS + sum(step.timeout_seconds for step in stage.steps),
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": site.user,
            "runAsGroup": site.user,
            "fsGroup": site.user,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [
            _stage_in(stage, site),
            *(_module(stage, step, described[step.name], site) for step in stage.steps),
        ],
        "containers": [_publish(site)],
        "volumes": [
            {"name": "inputs", "persistentVolumeClaim": {"claimName": site.inputs_claim, "readOnly": True}},
            {"name": "products", "persistentVolumeClaim": {"claimName": site.products_claim}},
            {"name": "work", "emptyDir": {"sizeLimit": _WORK_LIMIT}},
            *(
                {"name": f"scratch-{step.name}", "emptyDir": {"sizeLimit": step.resources.scratch}}
                for step in stage.steps
            ),
        ],
    }
    if site.image_pull_secrets:
        pod["imagePullSecrets"] = [{"name": name} for name in site.image_pull_secrets]
    if site.node_selector:
        pod["nodeSelector"] = dict(site.node_selector)
    if site.priority_class:
        pod["priorityClassName"] = site.priority_class
    return pod


def _stager(name: str, site: Site, env: list[Document]) -> Document:
    return {
        "name": name,
        "image": site.stager_image,
        "imagePullPolicy": site.image_pull_policy,
        "args": [name],
        "env": env,
        "resources": _STAGER_RESOURCES,
        "securityContext": _LOCKED_DOWN,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {"name": "products", "mountPath": PRODUCTS_MOUNT},
            {"name": "work", "mountPath": WORK_MOUNT},
        ],
    }


def _stage_in(stage: StageRun, site: Site) -> Document:
    # Kubernetes expands $(NAME) in values and takes $$ for a dollar.
    description = stage.description.to_json().replace("$", "$$")
    container = _stager(names.STAGE_IN, site, [{"name": STAGE_VARIABLE, "value": description}])
    container["volumeMounts"].append({"name": "inputs", "mountPath": INPUTS_MOUNT, "readOnly": True})
    return container


def _publish(site: Site) -> Document:
    node = {"name": "SAS_NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
    return _stager(names.PUBLISH, site, [node])


def _module(stage: StageRun, run: StepRun, step: StepDescription, site: Site) -> Document:
    container: Document = {
        "name": names.step_container(run.name),
        "image": run.image,
        "imagePullPolicy": site.image_pull_policy,
        "env": [
            {"name": "SAS_STAR", "value": stage.description.star},
            {"name": "SAS_CAMPAIGN", "value": stage.description.campaign},
            {"name": "SAS_STEP", "value": step.name},
            {"name": "SAS_ATTEMPT", "value": str(step.attempt)},
            {"name": "SAS_SEED", "value": str(step.seed)},
        ],
        "resources": {
            "requests": {"cpu": run.resources.cpu, "memory": run.memory},
            "limits": {"memory": run.memory},
        },
        "securityContext": _LOCKED_DOWN,
        # The last log lines of a failed module reach the status without anybody reading logs.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": [
            {
                "name": "products",
                "mountPath": "/sas/out",
                "subPath": f"{stage.description.attempt_folder}/{step.name}",
            },
            {
                "name": "work",
                "mountPath": "/sas/params.json",
                "subPath": f"{step.name}.params.json",
                "readOnly": True,
            },
            {"name": f"scratch-{run.name}", "mountPath": _SCRATCH_MOUNT},
            *(_input(one) for one in step.inputs),
        ],
    }
    if run.command is not None:
        container["command"] = list(run.command)
    if run.args is not None:
        container["args"] = list(run.args)
    return container


def _input(one: InputDescription) -> Document:
    return {"name": one.volume, "mountPath": f"/sas/in/{one.name}", "subPath": one.path, "readOnly": True}
