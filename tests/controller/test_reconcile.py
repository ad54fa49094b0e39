"""Stars brought to their end through the API: the ordinary course, refusals, an operator killed at every request."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from plato_sas.controller.actuator import Actuator
from plato_sas.controller.client import ApiError
from plato_sas.controller.operator import Operator
from plato_sas.controller.reconcile import Reconciler
from plato_sas.controller.resources import (
    EVENT,
    JOB,
    MODULE,
    PIPELINE,
    POD,
    PROCESSING,
    REVISION,
    WATCHED,
    Kind,
)
from plato_sas.controller.revisions import Revisions
from plato_sas.controller.settings import Settings
from plato_sas.controller.view import View
from plato_sas.controller.window import AdmissionWindow
from plato_sas.jobs.names import JOB_NAME_LABEL
from plato_sas.jobs.stage import Site
from sas_cluster import FakeCluster, Killed
from sas_samples import dag

SITE = Site(stager_image="stager:1")
DIAMOND: Mapping[str, list[str]] = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}


class OneOperator:
    """A freshly started operator without its queue: stars are reconciled when a test says so."""

    def __init__(self, cluster: FakeCluster, slots: int = 100) -> None:
        self.view, self.marked = View(), list[str]()
        client: Any = cluster
        self.reconciler = Reconciler(
            client,
            self.view,
            Revisions(client, self.view),
            AdmissionWindow(slots, self.marked.append),
            Actuator(client, self.view, SITE, job_ttl=60),
            cluster.now,
            self.marked.append,
        )
        for kind in reversed(WATCHED):
            items = [one for (plural, _), one in cluster.objects.items() if plural == kind.plural]
            self.view.replace(kind, items)
        cluster.watchers = [self.hear]

    def hear(self, kind: Kind, event: str, item: dict[str, Any]) -> None:
        if kind in WATCHED:
            self.marked += self.view.drop(kind, item) if event == "DELETED" else self.view.put(kind, item)

    async def reconcile(self, star: str = "kic1") -> None:
        await self.reconciler.reconcile(star)
        await asyncio.sleep(0)  # the watches bring what was written


def cluster(edges: Mapping[str, list[str]] = DIAMOND, **options: Any) -> FakeCluster:
    made = FakeCluster()
    made.catalogue(*dag(edges, **options))
    made.star("kic1")
    return made


async def drive(world: FakeCluster, operator: OneOperator, star: str = "kic1", rounds: int = 50) -> None:
    """Reconcile until the star is finished and its Jobs are let go."""
    for _ in range(rounds):
        before = len(world.requests)
        await operator.reconcile(star)
        quiet = len(world.requests) == before
        if active := world.active_jobs():
            world.finish(active[0])
        elif quiet:
            return
    raise AssertionError(f"not at rest after {rounds} rounds: {world.status(star)}")


def run(world: FakeCluster, star: str = "kic1") -> None:
    asyncio.run(drive(world, OneOperator(world), star))


def states(world: FakeCluster, star: str = "kic1") -> dict[str, str]:
    return {step["name"]: step["state"] for step in world.status(star).get("steps", [])}


def untouched(world: FakeCluster) -> bool:
    return not world.jobs_created and not world.all(JOB)


# The ordinary course


def test_a_star_goes_through_its_pipeline() -> None:
    world = cluster()
    run(world)
    status = world.status("kic1")
    assert (status["state"], status["progress"]) == ("Succeeded", "4/4")
    assert len(world.jobs_created) == 4
    assert status["revision"] in world.revisions()
    assert all("ttlSecondsAfterFinished" in one["spec"] for one in world.all(JOB).values()), "every Job is let go"
    assert [one["reason"] for one in world.all(EVENT).values()] == ["Succeeded"]


def test_a_failed_step_is_told_in_status_and_event() -> None:
    world = cluster()
    world.exit_codes["b"] = 3
    run(world)
    assert states(world) == {"a": "Succeeded", "b": "Failed", "c": "Succeeded", "d": "Skipped"}
    assert world.condition("kic1", "Complete")[:2] == ("False", "StepFailed")
    warnings = [one["message"] for one in world.all(EVENT).values() if one["type"] == "Warning"]
    assert warnings == ["b: ModuleFailed (exit code 3): bad data"]


def test_at_rest_a_new_operator_reads_the_revision_once_and_writes_nothing() -> None:
    world = cluster()
    run(world)
    world.requests.clear()

    async def again() -> None:
        operator = OneOperator(world)
        for _ in range(3):
            await operator.reconcile()

    asyncio.run(again())
    assert world.requests == [f"get controllerrevisions {world.revisions()[0]}"]


def test_a_pipeline_edited_in_flight_does_not_change_the_star() -> None:
    world = cluster({"a": [], "b": ["a"]})

    async def scenario() -> None:
        operator = OneOperator(world)
        await operator.reconcile()
        world.catalogue(*dag({"a": [], "z": ["a"]}))
        await drive(world, OneOperator(world))

    asyncio.run(scenario())
    assert states(world) == {"a": "Succeeded", "b": "Succeeded"}
    world.star("kic2")
    run(world, "kic2")
    assert states(world, "kic2") == {"a": "Succeeded", "z": "Succeeded"}
    assert len(world.revisions()) == 2


def test_stars_of_one_pipeline_share_a_revision() -> None:
    world = cluster({"a": []})
    world.star("kic2")
    run(world)
    run(world, "kic2")
    assert len(world.revisions()) == 1


def test_a_star_that_is_being_deleted_is_left_alone() -> None:
    world = cluster()
    world.objects[PROCESSING.plural, "kic1"]["metadata"]["deletionTimestamp"] = world.now()
    run(world)
    assert untouched(world)


def test_jobs_of_an_earlier_star_of_the_same_name_do_not_count() -> None:
    world = cluster({"a": []})
    run(world)
    world.remove(PROCESSING, "kic1")  # its Job is still waiting for the garbage collector
    world.star("kic1")
    run(world)
    assert len(set(world.jobs_created)) == 2
    assert world.status("kic1")["state"] == "Succeeded"


# Refusals


def refusal(world: FakeCluster) -> tuple[str, str]:
    run(world)
    assert untouched(world)
    assert world.status("kic1")["state"] == "Rejected"
    status, reason, message = world.condition("kic1", "Accepted")
    assert status == "False"
    assert [one["reason"] for one in world.all(EVENT).values()] == ["Rejected"]
    return reason, message


def test_an_unknown_pipeline() -> None:
    world = FakeCluster()
    world.star("kic1", pipeline="nope")
    assert refusal(world) == ("PipelineNotFound", "spec.pipeline: there is no StarPipeline 'nope'")


def test_an_unknown_module() -> None:
    world = cluster({"a": []})
    world.remove(MODULE, "a")
    assert refusal(world) == (
        "ModuleNotFound", "StarPipeline sas-test: spec.steps[a].module: there is no ScienceModule 'a'"
    )  # fmt: skip


def test_a_cycle() -> None:
    reason, message = refusal(cluster({"a": ["b"], "b": ["a"]}))
    assert reason == "GraphHasCycle"
    assert "the steps form a cycle: " in message


def test_parameters_of_an_unknown_step() -> None:
    world = cluster()
    world.star("kic1", parameters={"nope": {"x": 1}})
    assert refusal(world) == ("SpecInvalid", "spec.parameters.nope: pipeline 'sas-test' has no step 'nope'")


def test_a_rejected_star_goes_on_when_the_catalogue_is_mended() -> None:
    world = cluster({"a": []})
    stored = world.all(MODULE)["a"]
    world.remove(MODULE, "a")
    refusal(world)

    async def mend() -> None:
        operator = OneOperator(world)
        world.put(MODULE, {**stored, "metadata": {"name": "a"}})
        assert operator.marked == ["kic1"]
        await drive(world, operator)

    asyncio.run(mend())
    assert world.status("kic1")["state"] == "Succeeded"
    assert world.condition("kic1", "Accepted")[0] == "True"


def lose_the_revision(*, changed: bool) -> FakeCluster:
    """A star whose revision was deleted and whose operator was restarted; `changed`: the pipeline is another now."""
    world = cluster({"a": []})

    async def scenario() -> None:
        await OneOperator(world).reconcile()
        for name in world.revisions():
            world.remove(REVISION, name)
        if changed:
            world.catalogue(*dag({"a": [], "b": ["a"]}))
        await OneOperator(world).reconcile()

    asyncio.run(scenario())
    return world


def test_a_lost_revision_is_told() -> None:
    world = lose_the_revision(changed=True)
    assert world.condition("kic1", "Accepted")[1] == "RevisionLost"


def test_a_lost_revision_is_made_again_while_the_pipeline_is_the_same() -> None:
    world = lose_the_revision(changed=False)
    assert world.status("kic1")["revision"] in world.revisions()
    run(world)
    assert world.status("kic1")["state"] == "Succeeded"


def test_before_a_star_is_rejected_the_catalogue_is_read_again() -> None:
    """The watch of pipelines may be behind that of stars."""
    world = cluster({"a": []})

    async def scenario() -> None:
        operator = OneOperator(world)
        operator.view.replace(PIPELINE, [])
        operator.view.replace(MODULE, [])
        await operator.reconcile()

    asyncio.run(scenario())
    assert world.status("kic1")["state"] == "Running"


def refusing(status: int, message: str = "no") -> FakeCluster:
    """A cluster that refuses every Job."""
    world = cluster({"a": []})
    world.refuse = lambda verb, kind, name: ApiError(status, message) if (verb, kind) == ("create", JOB) else None
    return world


def test_an_invalid_job_fails_its_step_with_the_servers_words() -> None:
    world = refusing(422, "spec.template.spec.containers[1].image: Invalid value")
    run(world)
    (step,) = world.status("kic1")["steps"]
    assert (world.status("kic1")["state"], step["state"], step["reason"]) == ("Failed", "Failed", "JobRefused")
    assert "image: Invalid value" in step["message"]


def test_a_job_that_may_not_be_now_is_told_and_tried_again() -> None:
    world = refusing(403, "exceeded quota")

    async def scenario() -> None:
        operator = OneOperator(world)
        with pytest.raises(ApiError, match="exceeded quota"):
            await operator.reconcile()
        assert "exceeded quota" in world.condition("kic1", "Complete")[2]
        world.refuse = lambda verb, kind, name: None
        await drive(world, operator)

    asyncio.run(scenario())
    (step,) = world.status("kic1")["steps"]
    assert (step["state"], step["attempt"]) == ("Succeeded", 1)


def test_an_event_that_cannot_be_written_changes_nothing_else() -> None:
    world = cluster({"a": []})
    world.refuse = lambda verb, kind, name: ApiError(403, "no events") if kind is EVENT else None
    run(world)
    assert world.status("kic1")["state"] == "Succeeded"


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


# Slots


def test_a_star_that_gives_up_its_turn_does_not_hold_up_the_others() -> None:
    world = cluster({"a": [], "b": ["a"]})
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
    world = cluster({"a": [], "b": ["a"]})
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


# Kills and refusals of the API server


async def killed_and_resumed(world: FakeCluster, request: int) -> bool:
    """The operator dies at its request number `request`; another one takes over. False if it ended before."""
    world.kill_after = request
    try:
        await drive(world, OneOperator(world))
    except Killed:
        await drive(world, OneOperator(world))
        return True
    return False


def test_an_operator_killed_at_any_request_loses_nothing_and_does_nothing_twice() -> None:
    calm = cluster()
    calm.exit_codes["c"] = 2
    run(calm)
    killed = 0
    for request in range(1, 200):
        world = cluster()
        world.exit_codes["c"] = 2
        again = asyncio.run(killed_and_resumed(world, request))
        assert len(world.jobs_created) == len(set(world.jobs_created)) == len(calm.jobs_created), request
        assert states(world) == states(calm), request
        assert world.status("kic1")["state"] == "Failed"
        assert all("ttlSecondsAfterFinished" in one["spec"] for one in world.all(JOB).values())
        if not again:
            break
        killed += 1
    assert killed >= 12, "each creation, status and release was a moment to die"
    assert killed < 199


def test_an_operator_killed_again_and_again_still_comes_to_the_end() -> None:
    world = cluster()

    async def scenario() -> None:
        for _ in range(100):
            world.kill_after = 2
            try:
                await drive(world, OneOperator(world))
            except Killed:
                continue
            return
        raise AssertionError("no progress between kills")

    asyncio.run(scenario())
    assert world.status("kic1")["state"] == "Succeeded"
    assert len(world.jobs_created) == len(set(world.jobs_created)) == 4


@pytest.mark.parametrize("verb", ["create", "patch"])
def test_an_error_of_the_api_server_is_raised_and_the_next_try_goes_on(verb: str) -> None:
    world = cluster()

    async def scenario() -> None:
        operator = OneOperator(world)
        world.refuse = lambda v, kind, name: ApiError(503, "not now") if v == verb and kind is not EVENT else None
        with pytest.raises(ApiError, match="503"):
            await operator.reconcile()
        world.refuse = lambda v, kind, name: None
        await drive(world, operator)

    asyncio.run(scenario())
    assert world.status("kic1")["state"] == "Succeeded"
    assert len(world.jobs_created) == 4


def test_an_outcome_is_asked_for_where_the_pods_watch_is_behind() -> None:
    world = cluster({"a": []})

    async def scenario() -> None:
        operator = OneOperator(world)
        await operator.reconcile()
        world.watchers = [lambda kind, event, item: None if kind is POD else operator.hear(kind, event, item)]
        world.finish(world.active_jobs()[0])
        await operator.reconcile()

    asyncio.run(scenario())
    assert states(world) == {"a": "Succeeded"}


def test_a_job_that_exists_unknown_to_the_view_is_taken_over_not_lost() -> None:
    world = cluster({"a": []})

    async def scenario() -> None:
        with pytest.raises(Killed):
            await killed_at_the_first_job(world)
        operator = OneOperator(world)
        for job in world.all(JOB).values():
            operator.view.drop(JOB, job)  # its watch is behind
        world.watchers = []
        await operator.reconcile()
        await operator.reconcile()

    asyncio.run(scenario())
    assert world.status("kic1")["steps"][0]["attempt"] == 1
    assert "retries" not in world.status("kic1")["steps"][0]
    assert len(world.jobs_created) == 1


async def killed_at_the_first_job(world: FakeCluster) -> None:
    world.kill_after = 2  # the revision, then the Job
    await OneOperator(world).reconcile()


# With queue and workers


async def whole_operator(world: FakeCluster, stars: list[str], slots: int) -> None:
    settings = Settings(namespace="plato", site=SITE, max_active_stars=slots, workers=3)
    client: Any = world
    operator = Operator(client, settings)
    changed = asyncio.Event()

    def hear(kind: Kind, event: str, item: dict[str, Any]) -> None:
        if kind in WATCHED:
            operator.observe(kind, event, item)
        changed.set()

    world.finish_at_once = True
    world.watchers = [hear]
    await operator.prime()
    work = asyncio.create_task(operator.run())

    def at_rest() -> bool:
        finished = all(world.status(name).get("state") == "Succeeded" for name in stars)
        return finished and all("ttlSecondsAfterFinished" in one["spec"] for one in world.all(JOB).values())

    try:
        async with asyncio.timeout(20):
            while not at_rest():
                changed.clear()
                await changed.wait()
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)


@pytest.mark.timeout(60)
@pytest.mark.parametrize("slots", [1, 2, 100])
def test_the_whole_operator_brings_many_stars_to_their_end_with_no_event_but_the_watches(slots: int) -> None:
    world = cluster()
    stars = [f"kic{index}" for index in range(1, 9)]
    for name in stars:
        world.star(name)
    world.star("rival", star="kic1")
    asyncio.run(whole_operator(world, [*stars, "rival"], slots))
    assert len(world.jobs_created) == len(set(world.jobs_created)) == 4 * 9
