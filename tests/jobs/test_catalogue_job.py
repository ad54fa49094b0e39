"""A catalogue's Job, and what its pod tells."""

import json
from typing import Any

import pytest

from plato_sas.collector.order import ORDER_VARIABLE, CatalogueOrder
from plato_sas.jobs.catalogue import (
    CatalogueRun,
    build_catalogue_job,
    catalogue_attempt,
    catalogue_job_name,
)
from plato_sas.jobs.failure import FailureClass
from plato_sas.jobs.stage import Owner, Site
from plato_sas.plan.catalogue.tables import build_order
from tests.support.catalogue import IMAGE, REPORT, catalogue, ended_pod, finished_job, pending_pod, sample_graph

SITE = Site(stager_image="registry/stager:1", catalogue_image=IMAGE, node_selector=(("pool", "science"),))


def run(**spec: Any) -> CatalogueRun:
    one = catalogue(**spec)
    job = catalogue_job_name("q1-dp", "uid-1", 2)
    order = build_order(one, sample_graph(), "sas-test-1", job)
    owner = Owner("q1-dp", "plato", "uid-1", {"kueue.x-k8s.io/queue-name": "q"}, "StarCatalogue")
    return CatalogueRun(owner, 2, order, one.spec.resources, 600, IMAGE)


JOB = build_catalogue_job(run(), SITE)
POD: dict[str, Any] = JOB["spec"]["template"]["spec"]
CONTAINERS = {one["name"]: one for one in [*POD["initContainers"], *POD["containers"]]}


def test_a_jobs_name_is_a_function_of_the_catalogue_and_the_attempt() -> None:
    assert JOB["metadata"]["name"] == catalogue_job_name("q1-dp", "uid-1", 2)
    others = {catalogue_job_name("q1-dp", "uid-1", 3), catalogue_job_name("q1-dp", "uid-2", 2)}
    assert JOB["metadata"]["name"] not in others


def test_it_belongs_to_the_catalogue_and_is_the_operators() -> None:
    metadata = JOB["metadata"]
    (owner,) = metadata["ownerReferences"]
    assert (owner["kind"], owner["name"], owner["uid"]) == ("StarCatalogue", "q1-dp", "uid-1")
    assert metadata["labels"] == {
        "app.kubernetes.io/managed-by": "plato-sas-operator",
        "plato-sas.io/catalogue": "q1-dp",
        "plato-sas.io/campaign": "q1",
        "kueue.x-k8s.io/queue-name": "q",
    }
    assert JOB["spec"]["template"]["metadata"]["labels"] == metadata["labels"]
    assert JOB["spec"]["backoffLimit"] == 0


def test_its_pod_meets_the_restricted_level_and_has_no_token() -> None:
    """https://kubernetes.io/docs/concepts/security/pod-security-standards/#restricted, rule by rule."""
    assert POD["securityContext"]["runAsNonRoot"] is True
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert POD["automountServiceAccountToken"] is False
    assert POD["nodeSelector"] == {"pool": "science"}
    assert POD["activeDeadlineSeconds"] == 600
    for container in CONTAINERS.values():
        security = container["securityContext"]
        assert security["allowPrivilegeEscalation"] is False
        assert security["capabilities"] == {"drop": ["ALL"]}
        assert security["readOnlyRootFilesystem"] is True
    for volume in POD["volumes"]:
        assert set(volume) - {"name"} <= {"persistentVolumeClaim", "emptyDir"}


def test_the_collector_may_write_among_the_catalogues_alone() -> None:
    mounts = {one["mountPath"]: one for one in CONTAINERS["step-catalogue"]["volumeMounts"]}
    assert mounts["/sas/campaign"]["readOnly"] is True
    assert mounts["/sas/campaign"]["subPath"] == "q1"
    assert mounts["/sas/catalogues"]["subPath"] == "q1/.catalogues"
    assert mounts.keys() == {"/sas/campaign", "/sas/catalogues", "/tmp"}


def test_both_containers_have_the_order_literally() -> None:
    described = run(tables=[{"name": "T", "columns": [
        {"name": "x", "step": "fit", "fact": "score", "description": "costs $(HOME) $5"}]}])  # fmt: skip
    pod = build_catalogue_job(described, SITE)["spec"]["template"]["spec"]
    for container in (*pod["initContainers"], *pod["containers"]):
        (variable,) = container["env"]
        assert variable["name"] == ORDER_VARIABLE
        # As the kubelet expands it.
        assert CatalogueOrder.from_json(variable["value"].replace("$$", "$")) == described.order
    assert [one["args"] for one in (*pod["initContainers"], *pod["containers"])] == [["prepare"], ["collect"]]


def test_resources_are_the_catalogues() -> None:
    pod = build_catalogue_job(run(resources={"cpu": "3", "memory": "1Gi"}), SITE)["spec"]["template"]["spec"]
    assert pod["containers"][0]["resources"] == {
        "requests": {"cpu": "3", "memory": "1Gi"}, "limits": {"memory": "1Gi"}
    }  # fmt: skip
    assert run(resources={"cpu": "3"}).order.processes == 3
    assert run().order.processes == 2


def test_it_is_the_same_each_time() -> None:
    assert json.dumps(build_catalogue_job(run(), SITE)) == json.dumps(JOB)


def test_a_published_catalogue() -> None:
    found = catalogue_attempt(finished_job(JOB, "Complete"), [ended_pod(JOB, message=REPORT.to_json())])
    assert (found.number, found.active, found.report, found.failure) == (2, False, REPORT, None)
    # The pod's end is read before the Job is declared.
    assert catalogue_attempt(JOB, [ended_pod(JOB, message=REPORT.to_json())]).report == REPORT


@pytest.mark.parametrize(
    ("container", "code", "kind", "message"),
    [
        ("step-prepare", 2, FailureClass.SCIENCE, "campaign 'q1' has no folder"),
        ("step-catalogue", 2, FailureClass.SCIENCE, "no table has a row"),
        ("step-catalogue", 75, FailureClass.TEMPORARY, "disk full"),
        ("step-catalogue", 143, FailureClass.INFRASTRUCTURE, "stopped"),
    ],
)
def test_a_failure_has_its_class_and_last_lines(container: str, code: int, kind: FailureClass, message: str) -> None:
    pod = ended_pod(JOB, code=code, message=message, container=container)
    found = catalogue_attempt(finished_job(JOB, "Failed"), [pod]).failure
    assert found is not None
    assert (found.kind, found.exit_code) == (kind, code)
    assert message in found.message


def test_a_lost_pod_or_report_is_tried_again() -> None:
    lost = catalogue_attempt(finished_job(JOB, "Complete"), [])
    mute = catalogue_attempt(finished_job(JOB, "Complete"), [ended_pod(JOB, message="no report")])
    assert lost.failure is not None
    assert mute.failure is not None
    assert {lost.failure.kind, mute.failure.kind} == {FailureClass.INFRASTRUCTURE}
    assert mute.failure.reason == "ReportLost"


def test_what_holds_it_up_is_told() -> None:
    found = catalogue_attempt(JOB, [pending_pod(JOB, "ErrImagePull", "no such image")])
    assert found.active
    assert found.observed.waiting == ("ErrImagePull", "no such image")
