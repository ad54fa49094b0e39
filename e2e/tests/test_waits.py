"""What holds a star up is told, and passes with its cause: a site's policies, queues, meshes, webhooks and volumes."""

import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from e2e.install.modules import pinned
from e2e.kubernetes import apply, kubectl
from e2e.processes.command import CommandFailed
from e2e.tests.site import Site, condition, states, steps, until
from plato_sas.api import Document

_ADMISSION = "admissionregistration.k8s.io/v1"


@pytest.fixture(scope="module", autouse=True)
def one_step(site: Site) -> None:
    site.synthetic("waiter", outputs=["A"])
    site.pipeline("waiter", [{"name": "waiter", "module": "waiter"}])


def complete(site: Site, star: str) -> Document:
    status = site.star(star).get("status", {})
    return condition(status, "Complete") if status.get("conditions") else {}


def told(site: Site, star: str, reason: str, words: str, seconds: float = 90) -> None:
    """Wait until the star says that it waits for this."""

    def look() -> bool:
        found = complete(site, star)
        return found.get("reason") == reason and words in found["message"]

    until(look, f"star {star}: {reason} ({words})", seconds)


@contextmanager
def applied(site: Site, *objects: Document) -> Iterator[None]:
    """Objects of the cluster that are there, and in force, for a while."""
    before = [_admitted(site, sample) for sample in _samples()]
    apply(list(objects))
    try:
        until(lambda: before != [_admitted(site, sample) for sample in _samples()], "the policy in force", 60)
        yield
    finally:
        for one in objects:
            kubectl("delete", one["kind"], one["metadata"]["name"], "--ignore-not-found")


def _samples() -> list[Document]:
    """A Job, and a pod as a Job's."""
    securely = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    container = {"name": "one", "image": "one", "securityContext": securely, "resources": {"requests": {"cpu": "1m"}}}
    context = {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}}
    pod = {"restartPolicy": "Never", "securityContext": context, "containers": [container]}
    metadata = {"name": "sample", "labels": {"batch.kubernetes.io/job-name": "sample"}}
    return [
        {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"name": "sample"}, "spec": {"template": {"spec": pod}}},
        {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": pod},
    ]


def _admitted(site: Site, sample: Document) -> str:
    """What the API server would make of an object, or its refusal."""
    dry = ("create", "-f", "-", "--dry-run=server", "-o", "json")
    try:
        spec = json.loads(kubectl(*dry, namespace=site.namespace, stdin=json.dumps(sample)))["spec"]
    except CommandFailed as error:
        return str(error)
    containers = [(one["name"], one["resources"]) for one in spec.get("containers", [])]
    return str([spec.get("suspend"), spec.get("nodeName"), containers])


def mutation(site: Site, name: str, group: str, resource: str, expression: str, patch: str) -> list[Document]:
    """A policy that changes every new object of a kind in the site's namespace."""
    name = f"{site.namespace}-{name}"
    form = {"patchType": patch, {"JSONPatch": "jsonPatch"}.get(patch, "applyConfiguration"): {"expression": expression}}
    rule = {"apiGroups": [group], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": [resource]}
    spec: dict[str, Any] = {
        "failurePolicy": "Fail",
        "reinvocationPolicy": "Never",
        "matchConstraints": {
            "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": site.namespace}},
            "resourceRules": [rule],
        },
        "mutations": [form],
    }
    if resource == "pods":
        ours = "has(object.metadata.labels) && 'batch.kubernetes.io/job-name' in object.metadata.labels"
        spec["matchConditions"] = [{"name": "jobs", "expression": ours}]
    return [
        {"apiVersion": _ADMISSION, "kind": "MutatingAdmissionPolicy", "metadata": {"name": name}, "spec": spec},
        {
            "apiVersion": _ADMISSION, "kind": "MutatingAdmissionPolicyBinding", "metadata": {"name": name},
            "spec": {"policyName": name},
        },
    ]  # fmt: skip


def test_a_star_that_is_created_with_a_rerun_runs(site: Site) -> None:
    site.start("eager", pipeline="waiter", rerun={"id": 1})
    assert states(site.finished("eager", 60)) == {"waiter": "Succeeded"}


def test_a_final_star_whose_jobs_are_gone_runs_again(site: Site) -> None:
    site.start("once-more", pipeline="waiter")
    site.finished("once-more", 60)
    until(lambda: not site.jobs("once-more"), "its Job gone", 60)
    site.patch("once-more", {"rerun": {"id": 1, "from": ["waiter"]}})
    until(lambda: site.star("once-more")["status"].get("rerun") == 1, "the rerun taken up", 30)
    assert steps(site.finished("once-more", 60))["waiter"]["attempt"] == 2


def test_parameters_of_a_final_star_change_with_a_rerun_only(site: Site) -> None:
    site.start("settled", pipeline="waiter")
    site.finished("settled", 60)
    changed = {"parameters": {"waiter": {"message": "another way"}}}
    with pytest.raises(CommandFailed, match=r"only together with a higher spec\.rerun\.id"):
        site.patch("settled", changed)
    site.patch("settled", changed | {"rerun": {"id": int(time.time())}})
    until(lambda: site.star("settled")["status"].get("rerun"), "the rerun taken up", 30)
    assert site.finished("settled", 60)["state"] == "Succeeded"
    assert site.manifest("settled", "waiter")["parameters"]["message"] == "another way"


def test_a_webhook_that_does_not_answer_is_named_and_the_star_goes_on_after_it(site: Site) -> None:
    webhook = {
        "apiVersion": _ADMISSION,
        "kind": "ValidatingWebhookConfiguration",
        "metadata": {"name": f"{site.namespace}-down"},
        "webhooks": [
            {
                "name": "jobs.nobody.example",
                "admissionReviewVersions": ["v1"],
                "sideEffects": "None",
                "failurePolicy": "Fail",
                "timeoutSeconds": 2,
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": site.namespace}},
                "rules": [
                    {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}
                ],
                "clientConfig": {"service": {"namespace": site.namespace, "name": "nobody", "path": "/"}},
            }
        ],
    }
    with applied(site, webhook):
        site.start("unheard", pipeline="waiter")
        told(site, "unheard", "JobRefused", "jobs.nobody.example")
        assert site.star("unheard")["status"]["state"] == "Pending"
    assert site.finished("unheard", 90)["state"] == "Succeeded"


def test_a_policy_that_denies_jobs_for_a_while_fails_no_star(site: Site) -> None:
    name = f"{site.namespace}-denied"
    rule = {"apiGroups": ["batch"], "apiVersions": ["v1"], "operations": ["CREATE"], "resources": ["jobs"]}
    policy = {
        "apiVersion": _ADMISSION,
        "kind": "ValidatingAdmissionPolicy",
        "metadata": {"name": name},
        "spec": {
            "matchConstraints": {
                "namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": site.namespace}},
                "resourceRules": [rule],
            },
            "validations": [{"expression": "false", "message": "no Jobs during maintenance"}],
        },
    }
    binding = {
        "apiVersion": _ADMISSION,
        "kind": "ValidatingAdmissionPolicyBinding",
        "metadata": {"name": name},
        "spec": {"policyName": name, "validationActions": ["Deny"]},
    }
    with applied(site, policy, binding):
        site.start("denied", pipeline="waiter")
        told(site, "denied", "JobRefused", "422", 60)
        assert "no Jobs during maintenance" in complete(site, "denied")["message"]
    assert site.finished("denied", 90)["state"] == "Succeeded"


def test_a_job_that_a_queue_suspends_says_so_until_it_is_released(site: Site) -> None:
    suspend = mutation(
        site, "suspend", "batch", "jobs", "Object{spec: Object.spec{suspend: true}}", "ApplyConfiguration"
    )
    with applied(site, *suspend):
        site.start("queued", pipeline="waiter")
        told(site, "queued", "JobSuspended", "is suspended")
    (job,) = site.jobs("queued")
    kubectl(
        "patch", "job", job["metadata"]["name"], "--type=merge", "-p", '{"spec": {"suspend": false}}',
        namespace=site.namespace,
    )  # fmt: skip
    assert site.finished("queued", 90)["state"] == "Succeeded"


def test_a_quota_without_room_for_a_pod_is_named(site: Site) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "full"}, "spec": {"hard": {"pods": "0"}}}
    apply([quota], namespace=site.namespace)
    try:
        site.start("no-room", pipeline="waiter")
        told(site, "no-room", "PodNotCreated", "exceeded quota: full")
        assert "StepWaits" in site.describe("no-room")
    finally:
        kubectl("delete", "resourcequota", "full", namespace=site.namespace)
    assert site.finished("no-room", 120)["state"] == "Succeeded"


def test_a_container_that_a_mesh_injects_does_not_keep_the_star(site: Site) -> None:
    container = (
        'Object.spec.containers{{name: "mesh", image: "{}", '
        'command: ["python3", "-c", "import time; time.sleep(100000)"], '
        "securityContext: Object.spec.containers.securityContext{{allowPrivilegeEscalation: false, "
        'capabilities: Object.spec.containers.securityContext.capabilities{{drop: ["ALL"]}}}}}}'
    ).format(pinned("localhost/plato-sas/synthetic:0.1.0"))
    patch = f'[JSONPatch{{op: "add", path: "/spec/containers/-", value: {container}}}]'
    with applied(site, *mutation(site, "mesh", "", "pods", patch, "JSONPatch")):
        site.start("meshed", pipeline="waiter")
        assert site.finished("meshed", 60)["state"] == "Succeeded"
        assert site.published("meshed") == {"waiter"}
        until(lambda: not site.jobs("meshed"), "its pod ended with its Job", 60)
    assert list((site.products / "e2e" / "meshed" / ".logs").glob("*.log"))


def test_a_volume_that_cannot_be_mounted_is_named_and_ends_the_pod_in_time(site: Site) -> None:
    site.synthetic("reader", inputs=["L"], outputs=["A"])
    site.pipeline(
        "reader",
        [{"name": "reader", "module": "reader", "inputs": [{"name": "L", "external": "L"}]}],
        [{"name": "L", "path": "{star}/l.txt"}],
    )
    folder = site.inputs / "unmounted"
    folder.mkdir(exist_ok=True)
    (folder / "l.txt").write_text("light")
    away = site.inputs.with_name("inputs-away")
    site.inputs.rename(away)
    try:
        site.start("unmounted", pipeline="reader")

        def named() -> bool:
            step = steps(site.star("unmounted").get("status", {})).get("reader", {})
            return step.get("reason") in ("ContainerCreating", "NotStarted") and "FailedMount: " in step["message"]

        until(named, "the volume named", 120)
    finally:
        away.rename(site.inputs)
    assert site.finished("unmounted", 240)["state"] == "Succeeded"


def test_an_impossible_parameter_name_is_rejected_and_named(site: Site) -> None:
    site.start("mistyped", pipeline="waiter", parameters={"waiter": {"sleeps": 1}})
    accepted = condition(site.finished("mistyped", 60), "Accepted")
    assert (accepted["reason"], "spec.parameters.waiter.sleeps" in accepted["message"]) == ("SpecInvalid", True)


def test_a_kubelets_reason_of_any_form_ends_a_catalogue(site: Site) -> None:
    site.start("odd", pipeline="waiter", campaign="odd")
    site.finished("odd", 60)
    node = kubectl("get", "nodes", "-o", "jsonpath={.items[0].metadata.name}")
    request = "/spec/containers/0/resources/requests/ephemeral-storage"
    patch = (
        f'[JSONPatch{{op: "add", path: "/spec/nodeName", value: "{node}"}}, '
        f'JSONPatch{{op: "add", path: "{request}", value: "100Ti"}}]'
    )
    with applied(site, *mutation(site, "odd", "", "pods", patch, "JSONPatch")):
        table = {"name": "t", "columns": [{"name": "a", "step": "waiter", "output": "A"}]}
        site.apply("StarCatalogue", "odd", {"campaign": "odd", "pipeline": "waiter", "tables": [table]})

        def look() -> bool:
            found = kubectl("get", "scat", "odd", "-o", "json", namespace=site.namespace)
            return "OutOfephemeralStorage" in found

        until(look, "the kubelet's reason in the catalogue's status", 120)
    kubectl("delete", "scat", "odd", namespace=site.namespace)
