"""What stands between the operator and its Jobs on a shared cluster: policies, webhooks, quotas, queues, forgeries."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial

from e2e.chaos.arena import NAMESPACE
from e2e.chaos.drill import Drill
from e2e.chaos.fault import Fault
from e2e.chaos.workload import FUSED, PER_STEP, Star, fleet, whole
from e2e.cluster.storage import OWNER
from e2e.kubernetes import apply, kubectl
from plato_sas.api import Document
from plato_sas.jobs.names import MANAGED_BY_LABEL, MANAGER

_NAME = "plato-sas-chaos"
_HERE = {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": NAMESPACE}}}
_JOBS = {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}
_POLICY = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicy"}
_BINDING = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingAdmissionPolicyBinding"}
_WEBHOOK = {"apiVersion": "admissionregistration.k8s.io/v1", "kind": "ValidatingWebhookConfiguration"}


def _policy() -> list[Document]:
    """Refuses every Job, with 422."""
    validations = [{"expression": "false", "message": "no Jobs during the audit"}]
    policy = {"failurePolicy": "Fail", "matchConstraints": {"resourceRules": [_JOBS]}, "validations": validations}
    binding = {"policyName": _NAME, "validationActions": ["Deny"], "matchResources": _HERE}
    metadata = {"name": _NAME}
    return [{**_POLICY, "metadata": metadata, "spec": policy}, {**_BINDING, "metadata": metadata, "spec": binding}]


def _webhook() -> list[Document]:
    """Nobody answers it: every Job is refused with 500."""
    webhook = {
        "name": "jobs.chaos.plato-sas.io",
        "clientConfig": {"url": "https://127.0.0.1:9/"},
        "rules": [_JOBS],
        "failurePolicy": "Fail",
        "sideEffects": "None",
        "admissionReviewVersions": ["v1"],
        "timeoutSeconds": 1,
        **_HERE,
    }
    return [{**_WEBHOOK, "metadata": {"name": _NAME}, "webhooks": [webhook]}]


def _quota() -> list[Document]:
    """No pod may be made."""
    metadata = {"name": _NAME, "namespace": NAMESPACE}
    return [{"apiVersion": "v1", "kind": "ResourceQuota", "metadata": metadata, "spec": {"hard": {"pods": "0"}}}]


@contextmanager
def _applied(documents: list[Document]) -> Iterator[None]:
    kinds = [f"{one['kind'].lower()}/{_NAME}" for one in documents]
    try:
        apply(documents)
        yield
    finally:
        kubectl("delete", "--ignore-not-found", *kinds, namespace=NAMESPACE)


def _refusing(documents: Callable[[], list[Document]], reason: str) -> Callable[[Drill], None]:
    """Stars that start before, during and after; it lasts until stars say why they wait."""

    def inject(drill: Drill) -> None:
        drill.operator()
        many = 4 if drill.short else 8
        drill.create(fleet(f"{drill.name}-a", many))
        drill.wait_for_steps(2)
        with _applied(documents()):
            drill.create(fleet(f"{drill.name}-b", 2))
            drill.until(lambda: _say(reason), f"a star says {reason}")
            drill.count(times=len(_say(reason)))

    return inject


def _say(reason: str) -> list[str]:
    """The reasons of this name that stars and their steps give."""
    path = "{range .items[*]}{.status.conditions[*].reason} {.status.steps[*].reason} {end}"
    words = kubectl("get", "starprocessings", "-o", f"jsonpath={path}", namespace=NAMESPACE).split()
    return [word for word in words if word == reason]


def _suspend(drill: Drill) -> None:
    """A queue takes the node away from Jobs whose modules run: their pods are deleted."""
    drill.operator()
    stars = [whole(f"queued-{mode.lower()}", mode, sleep="1.5") for mode in (FUSED, PER_STEP)]
    drill.create(stars)
    for star in stars:
        job = drill.until(partial(drill.jobs, star.name, active=True), f"a Job of {star.name}")[0]
        _patch_job(job, '{"spec":{"suspend":true}}')
        drill.count()


def _patch_job(name: str, patch: str) -> None:
    kubectl("patch", "job", name, "--type=merge", "-p", patch, namespace=NAMESPACE)


def _forge(drill: Drill) -> None:
    """Jobs that call themselves the stars' own, and end well at once, while nothing of the stars has run."""
    drill.operator(PLATO_SAS_MAX_ACTIVE_STARS="1")
    stars = fleet("forged", 4)
    drill.create(stars)
    drill.until(lambda: len(drill.seen()) == len(stars), "every star is there")
    uids = {one.star: one.uid for one in drill.seen().values()}
    apply([_forged(star, uids[star.name]) for star in stars], namespace=NAMESPACE)
    drill.count(times=len(stars))
    names = [f"job/{_forged_name(star)}" for star in stars]
    kubectl("wait", "--for=condition=Complete", "--timeout=60s", *names, namespace=NAMESPACE)
    # The judge takes every Job of a star for its own.
    drill.undo(lambda: kubectl("delete", "--ignore-not-found", *names, namespace=NAMESPACE))


def _forged_name(star: Star) -> str:
    return f"{star.name}-source-00000000-1"


def _forged(star: Star, uid: str) -> Document:
    owner = {
        "apiVersion": "plato-sas.io/v1alpha1",
        "kind": "StarProcessing",
        "name": star.name,
        "uid": uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }
    # With the label the operator sees it; no Job of its own has this name.
    labels = {MANAGED_BY_LABEL: MANAGER, "plato-sas.io/star": star.name, "plato-sas.io/step": "source"}
    container = {
        "name": "publish",
        "image": "localhost/plato-sas/synthetic:0.1.0",
        "imagePullPolicy": "Never",
        "command": ["true"],
        "resources": {"limits": {"cpu": "50m", "memory": "16Mi"}},
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    secure = {"runAsNonRoot": True, "runAsUser": OWNER, "seccompProfile": {"type": "RuntimeDefault"}}
    spec = {"restartPolicy": "Never", "securityContext": secure, "containers": [container]}
    template = {"metadata": {"labels": labels}, "spec": spec}
    metadata = {"name": _forged_name(star), "labels": labels, "ownerReferences": [owner]}
    return {"apiVersion": "batch/v1", "kind": "Job", "metadata": metadata, "spec": {"template": template}}


def _fault(name: str, what: str, inject: Callable[[Drill], None], *, short: bool = False) -> Fault:
    return Fault(name, {name: what}, inject, limit_seconds=240, short=short)


FAULTS = (
    _fault(
        "policy-denies-jobs",
        "an admission policy denies every Job (422) until stars say so",
        _refusing(_policy, "JobRefused"),
        short=True,
    ),
    _fault(
        "webhook-away",
        "an admission webhook for Jobs does not answer (500) until stars say so",
        _refusing(_webhook, "JobRefused"),
    ),
    _fault("quota-full", "a quota allows no further pod until stars say so", _refusing(_quota, "PodNotCreated")),
    _fault("job-suspended", "a queue suspends a Job whose module runs", _suspend),
    _fault(
        "job-forged",
        "a Job of somebody else, with a star as its owner, ends well before the star has begun",
        _forge,
    ),
)
