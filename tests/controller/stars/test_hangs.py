"""A star is at every moment final, making progress, or waiting with a reason that names what it waits for."""

import asyncio

import pytest

from plato_sas.api import Document
from plato_sas.controller.kube.client import ApiError
from plato_sas.controller.kube.resources import EVENT, JOB, POD, PROCESSING, REVISION
from plato_sas.controller.stars import reconcile
from plato_sas.jobs.names import JOB_NAME_LABEL, label_value
from tests.support.cluster import FakeCluster
from tests.support.operator import OneOperator, drive, one_star, run, states
from tests.support.samples import dag

MESH = {"name": "mesh", "state": {"running": {"startedAt": "2030-01-01T00:00:00Z"}}}


def complete(world: FakeCluster, star: str = "kic1") -> tuple[str, str, str]:
    return world.condition(star, "Complete")


def kinds(world: FakeCluster, star: str = "kic1") -> set[str]:
    """The conditions that are True."""
    return {one["type"] for one in world.status(star)["conditions"] if one["status"] == "True"}


def only_job(world: FakeCluster) -> Document:
    ((_, job),) = world.all(JOB).items()
    return job


# Reruns


def test_a_star_that_is_created_with_a_rerun_starts() -> None:
    world = one_star({"a": []})
    world.star("kic1", rerun={"id": 1})
    run(world)
    assert states(world) == {"a": "Succeeded"}


def test_a_final_star_whose_jobs_are_gone_runs_again() -> None:
    world = one_star({"a": [], "b": ["a"]})
    run(world)
    assert not world.all(JOB)
    world.star("kic1", rerun={"id": 1, "from": ["a"]})
    run(world)
    assert len(set(world.jobs_created)) == 2
    assert world.status("kic1")["state"] == "Succeeded"


# The operator's own failures


def test_an_internal_error_is_told_keeps_no_slot_and_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    world = one_star({"a": []})

    def broken(_: object) -> None:
        raise KeyError("no such thing")

    async def scenario() -> None:
        operator = OneOperator(world, slots=1)
        with monkeypatch.context() as patch:
            patch.setattr(reconcile, "decide", broken)
            for _ in range(2):
                with pytest.raises(KeyError) as caught:
                    await operator.reconcile()
        status, reason, message = complete(world)
        assert (status, reason) == ("False", "InternalError")
        (note,) = caught.value.__notes__
        assert note in message, "the log has the same id, below the traceback"
        assert "no such thing" not in message, "it may be anything"
        assert kinds(world) == {"Stalled"}
        assert sum(one.startswith("patch starprocessings") for one in world.requests) == 1, "told once"
        world.star("kic2")
        await drive(world, operator, "kic2")
        await drive(world, operator)

    asyncio.run(scenario())
    assert (complete(world)[:2], kinds(world)) == (("True", "AllStepsFinished"), {"Accepted", "Complete", "Ready"})


def test_an_internal_error_about_a_final_star_leaves_its_outcome(monkeypatch: pytest.MonkeyPatch) -> None:
    world = one_star({"a": []})
    run(world)

    def broken(*_: object) -> None:
        raise ZeroDivisionError

    async def scenario() -> None:
        operator = OneOperator(world)
        with monkeypatch.context() as patch:
            patch.setattr(operator.reconciler._retention, "expire", broken)
            with pytest.raises(ZeroDivisionError):
                await operator.reconcile()
        assert kinds(world) == {"Accepted", "Complete", "Ready", "Stalled"}
        await drive(world, operator)

    asyncio.run(scenario())
    assert kinds(world) == {"Accepted", "Complete", "Ready"}


def test_a_request_that_is_refused_again_and_again_is_told() -> None:
    world = one_star({"a": []})
    world.refuse = lambda verb, kind, name: (
        ApiError(413, "the object is too large") if (verb, kind) == ("create", REVISION) else None
    )

    async def scenario() -> None:
        operator = OneOperator(world)
        for _ in range(3):
            with pytest.raises(ApiError):
                await operator.reconcile()
        status, reason, message = complete(world)
        assert (status, reason, "the object is too large" in message) == ("False", "RequestFailed", True)
        world.refuse = lambda verb, kind, name: None
        await drive(world, operator)

    asyncio.run(scenario())
    assert kinds(world) == {"Accepted", "Complete", "Ready"}


# Specs that the models cannot read


def test_a_parameter_with_an_impossible_name_is_rejected_by_its_name() -> None:
    world = one_star({"a": []})
    world.star("kic1", parameters={"a": {"Sigma Clip": 3}})
    run(world)
    assert world.status("kic1")["state"] == "Rejected"
    status, reason, message = world.condition("kic1", "Accepted")
    assert (status, reason) == ("False", "SpecInvalid")
    assert message.startswith("spec.parameters.a.'Sigma Clip': no such parameter")
    assert kinds(world) == {"Failed", "Stalled"}


def test_a_running_star_with_an_unreadable_spec_says_so_and_can_be_cancelled() -> None:
    world = one_star({"a": [], "b": ["a"]})

    async def scenario() -> None:
        operator = OneOperator(world)
        await operator.reconcile()
        world.star("kic1", parameters={"a": {"Sigma Clip": 3}})
        await operator.reconcile()
        assert world.status("kic1")["state"] == "Running"
        assert world.condition("kic1", "Accepted")[:2] == ("False", "SpecInvalid")
        world.star("kic1", desiredState="Cancel")
        await drive(world, operator)

    asyncio.run(scenario())
    assert world.status("kic1")["state"] == "Cancelled"
    assert kinds(world) >= {"Failed", "Stalled"}


def test_a_running_star_that_has_lost_its_graph_can_be_cancelled() -> None:
    world = one_star({"a": [], "b": ["a"]})

    async def scenario() -> None:
        await OneOperator(world).reconcile()
        for name in world.revisions():
            world.remove(REVISION, name)
        world.catalogue(*dag({"z": []}))
        operator = OneOperator(world)
        await operator.reconcile()
        assert world.status("kic1")["state"] == "Rejected"
        world.star("kic1", desiredState="Cancel")
        await operator.reconcile()

    asyncio.run(scenario())
    assert world.status("kic1")["state"] == "Cancelled"
    assert set(states(world).values()) == {"Cancelled"}
    assert not world.active_jobs()


# Jobs and pods that do not get going


def warn(world: FakeCluster, about: str, reason: str, message: str) -> None:
    world.put(
        EVENT,
        {
            "metadata": {"name": f"{about}.1"}, "involvedObject": {"name": about}, "type": "Warning",
            "reason": reason, "message": message, "lastTimestamp": world.now(),
        },
    )  # fmt: skip


def test_a_job_that_a_queue_has_suspended_says_so() -> None:
    world = one_star({"a": []})

    async def scenario() -> None:
        operator = OneOperator(world)
        await operator.reconcile()
        job = only_job(world)
        world.put(JOB, job | {"spec": job["spec"] | {"suspend": True}})
        await operator.reconcile()
        assert complete(world)[1] == "JobSuspended"
        assert "is suspended" in complete(world)[2]
        world.put(JOB, job | {"spec": job["spec"] | {"suspend": False}})
        await drive(world, operator)

    asyncio.run(scenario())


def test_a_job_without_a_pod_says_what_the_job_controller_says() -> None:
    world = one_star({"a": []})

    async def scenario() -> None:
        operator = OneOperator(world)
        await operator.reconcile()
        job = only_job(world)
        world.put(JOB, job | {"status": {"startTime": world.now()}})
        warn(world, job["metadata"]["name"], "FailedCreate", "pods forbidden: exceeded quota: stars, used: pods=0")
        assert await operator.reconcile() == pytest.approx(30)
        world.advance(60)
        await operator.reconcile()
        assert complete(world)[1:] == (
            "PodNotCreated",
            "a: PodNotCreated: FailedCreate: pods forbidden: exceeded quota: stars, used: pods=0",
        )
        warnings = [one["message"] for one in world.all(EVENT).values() if one["reason"] == "StepWaits"]
        assert warnings == ["a: PodNotCreated: FailedCreate: pods forbidden: exceeded quota: stars, used: pods=0"]

    asyncio.run(scenario())


def creating(world: FakeCluster) -> Document:
    """The Job's pod, accepted by a node that cannot mount its volume."""
    job = only_job(world)
    pod = world.kubelet.running(job, "a")
    pod["status"]["startTime"] = world.now()
    for key in ("initContainerStatuses", "containerStatuses"):
        for one in pod["status"][key]:
            one["state"] = {"waiting": {"reason": "PodInitializing"}}
    pod["status"]["initContainerStatuses"][0]["state"] = {"waiting": {"reason": "ContainerCreating"}}
    pod["status"]["phase"] = "Pending"
    return pod


def test_a_pod_that_cannot_mount_its_volume_says_so_and_is_stopped_in_time() -> None:
    world = one_star({"a": []})

    async def scenario() -> None:
        operator = OneOperator(world)
        await operator.reconcile()
        world.put(JOB, only_job(world) | {"status": {"startTime": world.now()}})
        pod = creating(world)
        world.put(POD, pod)
        name = pod["metadata"]["name"]
        warn(world, name, "FailedMount", "MountVolume.SetUp failed for volume inputs: no such file")
        await operator.reconcile()
        assert complete(world)[1] == "Progressing", "a moment is nothing unusual"
        world.advance(60)
        await operator.reconcile()
        text = "a: ContainerCreating: FailedMount: MountVolume.SetUp failed for volume inputs: no such file"
        assert complete(world)[1:] == ("ContainerCreating", text)
        world.advance(600)
        await operator.reconcile()
        assert world.all(POD)[name]["spec"]["activeDeadlineSeconds"] < 700
        stopped = world.all(POD)[name]
        stopped["status"] |= {"phase": "Failed", "reason": "DeadlineExceeded"}
        world.put(POD, stopped)
        operator.reconciler._causes._next = 0.0
        await operator.reconcile()
        (step,) = world.status("kic1")["steps"]
        assert (step["state"], step["reason"]) == ("Pending", "NotStarted")
        assert "FailedMount: MountVolume.SetUp failed" in step["message"]

    asyncio.run(scenario())


# Containers of others


def test_a_container_that_a_site_injects_does_not_keep_a_star() -> None:
    world = one_star({"a": []})

    async def scenario() -> None:
        operator = OneOperator(world)
        await operator.reconcile()
        job = only_job(world)
        pod = world.kubelet.run(job)
        pod["status"]["phase"] = "Running"
        pod["status"]["containerStatuses"].append(MESH)
        world.put(POD, pod)
        await operator.reconcile()
        assert world.status("kic1")["state"] == "Succeeded"
        assert not operator.window.holds("kic1")
        while operator.logs.work() or world.all(JOB):
            await operator.reconcile()

    asyncio.run(scenario())
    assert not world.all(POD), "it goes with its Job, once the log is kept"


def test_an_injected_container_that_fails_is_not_the_modules_fault() -> None:
    world = one_star({"a": []})

    async def scenario() -> None:
        operator = OneOperator(world)
        await operator.reconcile()
        pod = world.kubelet.run(only_job(world))
        broken = {"name": "mesh", "state": {"terminated": {"exitCode": 1, "message": "no certificate"}}}
        pod["status"]["containerStatuses"].insert(0, broken)
        pod["status"]["phase"] = "Failed"
        world.put(POD, pod)
        await operator.reconcile()
        assert states(world) == {"a": "Succeeded"}

    asyncio.run(scenario())


# Names


def test_a_star_named_as_anothers_label_is_another_star() -> None:
    long = "k" * 80
    world = one_star({"a": []})
    world.star(long, star="one")
    world.star(label_value(long), star="two")
    run(world, long)
    run(world, label_value(long))
    assert {world.status(one)["state"] for one in (long, label_value(long))} == {"Succeeded"}
    assert len({label_value(long), label_value(label_value(long))}) == 2


def test_a_job_of_another_owner_does_not_hold_a_star() -> None:
    world = one_star({"a": []})
    run(world)
    labels = {"plato-sas.io/processing": "kic1", JOB_NAME_LABEL: "foreign"}
    template = {"template": {"spec": {"containers": [], "initContainers": [{"name": "stage-in"}]}}}
    owner = {"ownerReferences": [{"uid": "another", "controller": True}]}
    done = {"conditions": [{"type": "Complete", "status": "True"}]}
    world.put(JOB, {"metadata": {"name": "foreign", "labels": labels} | owner, "spec": template, "status": done})
    world.star("kic1", ttl="1s")
    run(world)
    assert "kic1" not in world.all(PROCESSING)


def test_a_job_that_the_operator_did_not_make_is_not_believed() -> None:
    world = one_star({"a": []})
    world.star("kic1", desiredState="Suspend")

    async def scenario() -> None:
        operator = OneOperator(world)
        await operator.reconcile()
        star = world.all(PROCESSING)["kic1"]["metadata"]
        report = '{"steps": {"a": {"digest": "%s"}}}' % ("a" * 64)
        for name in ("forged", "kic1-a-0123456789-1"):
            metadata = {
                "name": name,
                "labels": {"plato-sas.io/processing": "kic1", JOB_NAME_LABEL: name},
                "annotations": {"plato-sas.io/steps": "a=1"},
                "ownerReferences": [{"uid": star["uid"], "controller": True}],
            }
            done = {"conditions": [{"type": "Complete", "status": "True"}]}
            template = {"template": {"spec": {"initContainers": [{"name": "stage-in"}]}}}
            world.put(JOB, {"metadata": metadata, "spec": template, "status": done})
            ended = {"name": "publish", "state": {"terminated": {"exitCode": 0, "message": report}}}
            status = {"phase": "Succeeded", "containerStatuses": [ended]}
            world.put(
                POD, {"metadata": {"name": f"{name}-pod", "labels": metadata["labels"]}, "spec": {}, "status": status}
            )
        await operator.reconcile()

    asyncio.run(scenario())
    assert (world.status("kic1")["state"], states(world)) == ("Suspended", {"a": "Pending"})
