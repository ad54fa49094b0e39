"""A stage, a check and a salvage, each as a Job.

A stage is one pod: stage-in, then the steps as init containers one after the other, then publish. A module's
container sees a scratch folder and its own read-only /sas, prepared by stage-in: parameters, inputs (each a file that
is mounted by a subPath, or copied there by stage-in, or a link into the folder of the step of this stage that makes it)
and an output folder. Only the stager's two containers see the volumes. A salvage consists of publish alone,
a check of stage-in's first half.
"""

from plato_sas.api import Document, amount
from plato_sas.jobs import names
from plato_sas.jobs.one_pod import LOCKED_DOWN, OUTPUT_MOUNT, SCRATCH_MOUNT, one_pod_job, products_volume, variable
from plato_sas.jobs.stage import CheckRun, Run, SalvageRun, Site, StageRun, StepRun
from plato_sas.stager.description import (
    PUBLISH_VARIABLE,
    STAGE_VARIABLE,
    UPSTREAM,
    PublishOrder,
    Stage,
    StepDescription,
)
from plato_sas.stager.roots import INPUTS_MOUNT, PRODUCTS_MOUNT, WORK_MOUNT

# Stage-in and publish read and hash every file; their share of the pod's deadline.
_STAGER_SECONDS = 600
_STAGER_RESOURCES = {
    "requests": {"cpu": "50m", "memory": "64Mi"},
    "limits": {"memory": "128Mi"},
}
_TREE_LIMIT = "64Mi"  # of a step's /sas, without its output
_TREE_LIMIT_WITH_COPIES = "4Gi"  # where inputs are copied into it
_LOGS_LIMIT = "4Gi"  # of a pod on its node: the kubelet rotates logs, but only every ten seconds


def build_job(run: Run, site: Site) -> Document:
    """The Job of a run, complete and deterministic."""
    annotations = {names.STEPS_ANNOTATION: names.steps_annotation(run.numbers)}
    match run:
        case StageRun():
            body = _stage(run, site)
        case CheckRun():
            body = _check(run, site)
            annotations[names.CHECK_ANNOTATION] = "true"
        case SalvageRun():
            body = _salvage(run, site)
    return one_pod_job(run.job, run.owner, _labels(run), annotations, site, body)


def _labels(run: Run) -> dict[str, str]:
    where = run.order if isinstance(run, SalvageRun) else run.description
    return {
        names.PROCESSING_LABEL: names.label_value(run.owner.name),
        names.STAR_LABEL: where.star,
        names.CAMPAIGN_LABEL: where.campaign,
        names.STEP_LABEL: next(iter(run.numbers)),
    }


def _stage(run: StageRun, site: Site) -> Document:
    stage = run.description
    described = {step.name: step for step in stage.steps}
    order = PublishOrder(stage.campaign, stage.star, stage.id, list(described), stage.containers)
    return {
        # The deadline counts from the pod's start on a node, so waiting for a node costs nothing. A step that
        # takes longer than its own timeout is stopped by the operator.
        "activeDeadlineSeconds": _STAGER_SECONDS + sum(step.timeout_seconds for step in run.steps),
        "initContainers": [
            _stage_in(run, site),
            *(_module(run, step, described[step.name], site) for step in run.steps),
        ],
        "containers": [_publish(run, order, site)],
        "volumes": [
            *_inputs_volume(run, site),
            products_volume(site),
            *({"name": f"sas-{step.name}", "emptyDir": {"sizeLimit": _tree_limit(step)}} for step in stage.steps),
            *(
                {"name": f"scratch-{step.name}", "emptyDir": {"sizeLimit": step.resources.scratch}}
                for step in run.steps
            ),
        ],
    }


def _check(run: CheckRun, site: Site) -> Document:
    return {
        "activeDeadlineSeconds": _STAGER_SECONDS,
        "containers": [_reader(names.CHECK, run, site)],
        "volumes": [*_inputs_volume(run, site), products_volume(site)],
    }


def _salvage(run: SalvageRun, site: Site) -> Document:
    return {
        "activeDeadlineSeconds": _STAGER_SECONDS,
        "containers": [_publish(run, run.order, site)],
        "volumes": [*_inputs_volume(run, site), products_volume(site)],
    }


def _inputs_volume(run: Run, site: Site) -> list[Document]:
    """The inputs volume, only if a step reads it: the kubelet requests a pod's claims again at each of its steps."""
    if not run.reads_inputs:
        return []
    return [{"name": "inputs", "persistentVolumeClaim": {"claimName": site.inputs_claim, "readOnly": True}}]


def _with_prefixes(stage: Stage, site: Site) -> Stage:
    """The stage with the folders that the site allows, if a path in it was chosen by the star's spec."""
    if not any(one.chosen for step in stage.steps for one in step.inputs):
        return stage
    filled = (one.replace("{star}", stage.star).replace("{campaign}", stage.campaign) for one in site.input_prefixes)
    return stage._replace(prefixes=list(filled))


def _tree_limit(step: StepDescription) -> str:
    return _TREE_LIMIT_WITH_COPIES if any(one.late for one in step.inputs) else _TREE_LIMIT


def _disk_limit(stage: StageRun) -> str:
    """What a pod may use of its node's disk, in bytes: its folders, each with a limit of its own, and its logs.

    The kubelet compares the whole pod with the largest limit of its init containers.
    """
    folders = [_tree_limit(step) for step in stage.description.steps] + [run.resources.scratch for run in stage.steps]
    return str(int(sum(map(amount, [*folders, _LOGS_LIMIT]))))


def _stager(name: str, run: Run, site: Site, env: list[Document]) -> Document:
    mounts: list[Document] = [{"name": "products", "mountPath": PRODUCTS_MOUNT}]
    if run.reads_inputs:
        mounts.append({"name": "inputs", "mountPath": INPUTS_MOUNT, "readOnly": True})
    return {
        "name": name,
        "image": site.stager_image,
        "imagePullPolicy": site.image_pull_policy,
        "args": [name],
        "env": env,
        "resources": _STAGER_RESOURCES,
        "securityContext": LOCKED_DOWN,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "volumeMounts": mounts,
    }


def _reader(name: str, run: StageRun | CheckRun, site: Site) -> Document:
    """A container that reads a stage's inputs."""
    order = _with_prefixes(run.description, site)
    return _stager(name, run, site, [variable(STAGE_VARIABLE, order.to_json())])


def _stage_in(stage: StageRun, site: Site) -> Document:
    container = _reader(names.STAGE_IN, stage, site)
    container["volumeMounts"] += [
        *({"name": f"sas-{step.name}", "mountPath": f"{WORK_MOUNT}/{step.name}"} for step in stage.steps),
    ]
    return container


def _publish(run: Run, order: PublishOrder, site: Site) -> Document:
    order = order._replace(max_size=site.max_output_size)
    node = {"name": "SAS_NODE", "valueFrom": {"fieldRef": {"fieldPath": "spec.nodeName"}}}
    return _stager(names.PUBLISH, run, site, [variable(PUBLISH_VARIABLE, order.to_json()), node])


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
            # Without a request of its own the limit would be one, and nodes would be full that are empty.
            "requests": {"cpu": run.resources.cpu, "memory": run.memory, "ephemeral-storage": "0"},
            "limits": {"memory": run.memory, "ephemeral-storage": _disk_limit(stage)},
        },
        "securityContext": LOCKED_DOWN,
        # A failed module's last log lines reach the status without reading its log.
        "terminationMessagePolicy": "FallbackToLogsOnError",
        # Each subPath costs the kubelet two runs of mount(8) and lengthens the node's mount table, which every new
        # container copies. Hence one for the output, one for each mounted input or step upstream, and no more.
        "volumeMounts": [
            {"name": f"sas-{run.name}", "mountPath": "/sas", "readOnly": True},
            {
                "name": "products",
                "mountPath": OUTPUT_MOUNT,
                "subPath": f"{stage.description.attempt_folder}/{step.name}",
            },
            {"name": f"scratch-{run.name}", "mountPath": SCRATCH_MOUNT},
            *_inputs(step),
            *_upstream(step),
        ],
    }
    if run.command is not None:
        container["command"] = list(run.command)
    if run.args is not None:
        container["args"] = list(run.args)
    return container


def _inputs(step: StepDescription) -> list[Document]:
    """Mount each input by its own subPath, except those that stage-in copies or links into the folder."""
    return [
        {"name": one.volume, "mountPath": f"/sas/in/{one.name}", "subPath": one.path, "readOnly": True}
        for one in step.inputs
        if not one.late and one.made_by is None
    ]


def _upstream(step: StepDescription) -> list[Document]:
    """Mount the folder of each step of this stage that makes an input.

    Never the file: the kubelet would follow a link that the module made instead of it, to anywhere on the volume. The
    folder cannot be replaced by a link, since its module sees nothing above it. A link inside leads no further than
    what the reading container has anyway.
    """
    folders = {one.made_by: str(one.file.parent) for one in step.inputs if one.made_by is not None}
    return [
        {"name": "products", "mountPath": f"/sas/{UPSTREAM}/{name}", "subPath": folder, "readOnly": True}
        for name, folder in folders.items()
    ]
