"""What the view keeps of an object: all that is read, and little else."""

import json

from plato_sas.api import Document
from plato_sas.controller.keeping.pod_logs import began
from plato_sas.controller.kube.resources import JOB, POD, PROCESSING
from plato_sas.controller.view.slimming import slim
from plato_sas.jobs.attempt import attempt, pods_up_to_date
from tests.support.cluster import FakeCluster
from tests.support.operator import OneOperator
from tests.support.samples import dag


async def failed_job() -> tuple[Document, Document]:
    """A Job and its pod, the second of three steps having failed."""
    world = FakeCluster()
    world.catalogue(*dag({"a": [], "b": ["a"], "c": ["b"]}))
    world.star("kic1")
    world.kubelet.exit_codes["b"] = [3]
    await OneOperator(world).reconcile()
    (name,) = world.active_jobs()
    world.finish(name)
    return world.all(JOB)[name], world.all(POD)[f"{name}-pod"]


async def test_an_attempt_and_its_log_are_read_from_what_is_kept() -> None:
    job, pod = await failed_job()
    slim_job, slim_pod = slim(JOB, job), slim(POD, pod)
    assert attempt(slim_job, [slim_pod]) == attempt(job, [pod])
    assert pods_up_to_date(slim_job, [slim_pod])
    assert began(slim_pod) == began(pod)
    assert [one.name for one in began(slim_pod)] == ["stage-in", "step-a", "step-b"]


async def test_most_of_a_job_and_of_a_pod_is_not_kept() -> None:
    job, pod = await failed_job()
    assert len(json.dumps(slim(JOB, job))) < 0.3 * len(json.dumps(job))
    assert len(json.dumps(slim(POD, pod))) < 0.3 * len(json.dumps(pod))


def test_what_is_slim_stays_as_it_is() -> None:
    star: Document = {
        "metadata": {"name": "a", "annotations": {"mine": "x"}},
        "spec": {},
        "status": {"state": "Running"},
    }
    assert slim(PROCESSING, star) == star
    assert slim(PROCESSING, slim(PROCESSING, star)) == star


def test_who_wrote_what_and_how_is_not_kept() -> None:
    applied = "kubectl.kubernetes.io/last-applied-configuration"
    metadata = {"name": "a", "annotations": {applied: "{}", "mine": "x"}, "managedFields": [{"manager": "kubectl"}]}
    before = {"metadata": metadata, "spec": {"star": "a"}}
    assert slim(PROCESSING, before) == {"metadata": {"name": "a", "annotations": {"mine": "x"}}, "spec": {"star": "a"}}
    assert "managedFields" in metadata, "what is given is not changed"
