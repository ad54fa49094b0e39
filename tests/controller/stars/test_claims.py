"""Who may write to a star's products, and who waits for whom: rivals, pods of earlier Jobs, slots."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from plato_sas.controller.kube.client import ApiError
from plato_sas.controller.kube.resources import JOB, PIPELINE, POD, PROCESSING, REVISION
from plato_sas.jobs.names import JOB_NAME_LABEL
from tests.support.cluster import FakeCluster
from tests.support.operator import OneOperator, drive
from tests.support.samples import dag


def cluster(edges: Mapping[str, list[str]], **spec: Any) -> FakeCluster:
    made = FakeCluster()
    made.catalogue(*dag(edges))
    made.star("kic1", **spec)
    return made


def untouched(world: FakeCluster) -> bool:
    return not world.jobs_created and not world.all(JOB)


# Products


def test_a_lost_job_is_not_replaced_while_its_pod_still_runs() -> None:
    world = cluster({"a": []})

    async def scenario() -> None:
        operator = OneOperator(world)
        await operator.reconcile()
        (job,) = world.active_jobs()
        labels = world.all(JOB)[job]["spec"]["template"]["metadata"]["labels"] | {JOB_NAME_LABEL: job}
        pod = {"metadata": {"name": "old", "labels": labels}, "spec": {}, "status": {"phase": "Running"}}
        world.put(POD, pod)
        world.remove(JOB, job)
        world.advance(60)
        for _ in range(5):
            await operator.reconcile()
        assert len(world.jobs_created) == 1
        assert world.condition("kic1", "Complete")[1] == "PodsTerminating"
        world.remove(POD, "old")
        await drive(world, operator)

    asyncio.run(scenario())
    assert world.status("kic1")["state"] == "Succeeded"
    assert len(world.jobs_created) == 2


def test_of_two_stars_for_the_same_products_the_one_that_has_begun_goes_on() -> None:
    """Whichever is older: also one that was rejected first, or was created in the same second."""
    world = cluster({"a": []})
    world.star("aaa", star="kic1", pipeline="later")
    world.all(PROCESSING)["aaa"]["metadata"]["creationTimestamp"] = "2000-01-01T00:00:00Z"

    async def scenario() -> None:
        operator = OneOperator(world)
        await operator.reconcile("aaa")
        assert world.status("aaa")["state"] == "Rejected"
        await operator.reconcile("kic1")
        world.put(PIPELINE, {**world.all(PIPELINE)["sas-test"], "metadata": {"name": "later"}})
        await operator.reconcile("aaa")
        assert world.condition("aaa", "Complete")[1] == "ProductsInUse"
        assert len(world.jobs_created) == 1
        await drive(world, operator)
        await drive(world, operator, "aaa")

    asyncio.run(scenario())
    assert world.status("kic1")["state"] == world.status("aaa")["state"] == "Succeeded"


def test_a_star_that_waits_for_another_can_be_cancelled() -> None:
    world = cluster({"a": []})
    world.star("rival", star="kic1")

    async def scenario() -> None:
        operator = OneOperator(world)
        await operator.reconcile("rival")
        world.star("rival", desiredState="Cancel")
        await operator.reconcile("rival")

    asyncio.run(scenario())
    assert world.status("rival")["state"] == "Cancelled"
    assert untouched(world)


def test_a_second_star_for_the_same_products_waits_for_the_first() -> None:
    world = cluster({"a": []})
    world.star("rival", star="kic1")

    async def scenario() -> None:
        operator = OneOperator(world)
        await operator.reconcile("rival")
        assert untouched(world)
        assert world.status("rival")["state"] == "Pending"
        assert world.condition("rival", "Complete")[1:] == (
            "ProductsInUse", "StarProcessing 'kic1' writes to the same products (campaign and star)"
        )  # fmt: skip
        operator.marked.clear()
        await drive(world, operator)
        assert "rival" in operator.marked, "somebody has to look at it again"
        await drive(world, operator, "rival")

    asyncio.run(scenario())
    assert world.status("rival")["state"] == "Succeeded"
    assert len(world.jobs_created) == 2


def test_a_job_whose_pod_still_ends_has_no_successor_yet() -> None:
    """A Job can be declared failed while its pod is being stopped on a node that does not answer."""
    world = cluster({"a": []})

    async def scenario() -> None:
        operator = OneOperator(world)
        await operator.reconcile()
        (job,) = world.active_jobs()
        world.run_until(job, "a")
        failed = {"type": "Failed", "status": "True", "lastTransitionTime": world.now()}
        world.put(JOB, world.all(JOB)[job] | {"status": {"startTime": world.now(), "conditions": [failed]}})
        world.advance(60)
        for _ in range(3):
            await operator.reconcile()
        assert len(world.jobs_created) == 1
        assert world.condition("kic1", "Complete")[1] == "PodsTerminating"
        world.remove(POD, f"{job}-pod")
        await drive(world, operator)

    asyncio.run(scenario())
    assert world.status("kic1")["state"] == "Succeeded"
    assert len(world.jobs_created) == 2


def test_an_older_star_that_is_to_run_again_waits_for_the_one_that_is_at_it() -> None:
    world = cluster({"a": [], "b": ["a"]})

    async def scenario() -> None:
        operator = OneOperator(world)
        await drive(world, operator)
        world.star("younger", star="kic1", stages="PerStep")
        await operator.reconcile("younger")
        (running,) = world.active_jobs()
        world.star("kic1", rerun={"id": 1})
        await operator.reconcile("kic1")
        assert world.active_jobs() == [running]
        assert world.condition("kic1", "Complete")[1] == "ProductsInUse"
        await drive(world, operator, "younger")
        await drive(world, operator, "kic1")

    asyncio.run(scenario())
    assert world.status("kic1")["state"] == world.status("younger")["state"] == "Succeeded"


# Slots


def test_a_star_that_gives_up_its_turn_does_not_hold_up_the_others() -> None:
    world = cluster({"a": [], "b": ["a"]}, stages="PerStep")
    world.star("kic2")
    world.star("kic3")

    async def scenario() -> None:
        operator = OneOperator(world, slots=1)
        for name in ("kic1", "kic2", "kic3"):
            await operator.reconcile(name)
        assert world.condition("kic2", "Complete")[1] == "WaitingForSlot"
        world.star("kic2", desiredState="Suspend")
        await operator.reconcile("kic2")
        await drive(world, operator)
        await drive(world, operator, "kic3")

    asyncio.run(scenario())
    assert world.status("kic3")["state"] == "Succeeded"


def test_a_suspended_star_gives_its_slot_away() -> None:
    world = cluster({"a": [], "b": ["a"]}, stages="PerStep")
    world.star("kic2")

    async def scenario() -> None:
        operator = OneOperator(world, slots=1)
        await operator.reconcile("kic1")
        await operator.reconcile("kic2")
        world.star("kic1", desiredState="Suspend")
        world.finish(world.active_jobs()[0])
        await operator.reconcile("kic1")
        assert world.status("kic1")["state"] == "Suspended"
        assert "kic2" in operator.marked
        await drive(world, operator, "kic2")

    asyncio.run(scenario())
    assert world.status("kic2")["state"] == "Succeeded"


def test_nobody_waits_behind_a_star_that_waits_for_its_rival() -> None:
    """The urgent one is first in line, but may not start before its rival, which is behind it in line."""
    world = cluster({"a": []})

    async def scenario() -> None:
        operator = OneOperator(world, slots=1)
        await drive(world, operator, "kic1")
        world.star("other")
        await operator.reconcile("other")
        world.star("urgent", star="kic1", priority=9)
        await operator.reconcile("urgent")
        world.star("kic1", rerun={"id": 1})  # the older one: its claim comes first
        await operator.reconcile("kic1")
        await operator.reconcile("urgent")
        for name in ("other", "kic1", "urgent"):
            await drive(world, operator, name)

    asyncio.run(scenario())
    assert [one["status"]["state"] for one in world.all(PROCESSING).values()] == ["Succeeded"] * 3


def test_nobody_waits_behind_a_star_that_cannot_be_reconciled() -> None:
    world = cluster({"a": []})
    for name in ("broken", "next"):
        world.star(name)

    async def scenario() -> None:
        operator = OneOperator(world, slots=1)
        for name in ("kic1", "broken", "next"):
            await operator.reconcile(name)
        # Its graph has to be read again, and cannot be.
        operator.revisions._graphs.clear()
        world.refuse = lambda verb, kind, name: ApiError(500, "no") if (verb, kind) == ("get", REVISION) else None
        with pytest.raises(ApiError):
            await operator.reconcile("broken")
        world.refuse = lambda verb, kind, name: None
        await drive(world, operator, "kic1")
        await drive(world, operator, "next")

    asyncio.run(scenario())
    assert world.status("next")["state"] == "Succeeded"
    assert world.status("broken")["state"] == "Pending"
