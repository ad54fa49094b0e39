"""Stars that are refused: by the rules of a spec, by a lost revision, by the API server."""

import asyncio

import pytest

from plato_sas.controller.kube.client import ApiError
from plato_sas.controller.kube.resources import EVENT, JOB, MODULE, PIPELINE, POD, REVISION
from tests.support.cluster import FakeCluster
from tests.support.operator import OneOperator, drive, one_star, run, states
from tests.support.samples import dag


def untouched(world: FakeCluster) -> bool:
    return not world.jobs_created and not world.all(JOB)


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
    world = one_star({"a": []})
    world.remove(MODULE, "a")
    assert refusal(world) == (
        "ModuleNotFound", "StarPipeline sas-test: spec.steps[a].module: there is no ScienceModule 'a'"
    )  # fmt: skip


def test_a_cycle() -> None:
    reason, message = refusal(one_star({"a": ["b"], "b": ["a"]}))
    assert reason == "GraphHasCycle"
    assert "the steps form a cycle: " in message


def test_parameters_of_an_unknown_step() -> None:
    world = one_star()
    world.star("kic1", parameters={"nope": {"x": 1}})
    assert refusal(world) == ("SpecInvalid", "spec.parameters.nope: pipeline 'sas-test' has no step 'nope'")


def test_a_rejected_star_goes_on_when_the_catalogue_is_mended() -> None:
    world = one_star({"a": []})
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
    world = one_star({"a": []})

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
    world = one_star({"a": []})

    async def scenario() -> None:
        everything = dict(world.objects)
        for kind in (PIPELINE, MODULE):
            for name in world.all(kind):
                del world.objects[kind.plural, name]
        operator = OneOperator(world)
        world.objects |= everything
        await operator.reconcile()

    asyncio.run(scenario())
    assert world.status("kic1")["state"] == "Running"


def refusing(error: ApiError) -> FakeCluster:
    """A cluster that refuses every Job."""
    world = one_star({"a": []})
    world.refuse = lambda verb, kind, name: error if (verb, kind) == ("create", JOB) else None
    return world


def test_an_invalid_job_fails_its_step_with_the_servers_words() -> None:
    world = refusing(ApiError(422, "spec.template.spec.containers[1].image: Invalid value", fields=True))
    run(world)
    (step,) = world.status("kic1")["steps"]
    assert (world.status("kic1")["state"], step["state"], step["reason"]) == ("Failed", "Failed", "JobRefused")
    assert "image: Invalid value" in step["message"]


@pytest.mark.parametrize("status", [400, 403, 422, 500, 503])
def test_a_job_that_may_not_be_now_is_told_and_tried_again(status: int) -> None:
    """A quota, a policy (422 without a field), a webhook that does not answer."""
    world = refusing(ApiError(status, "not now"))

    async def scenario() -> None:
        operator = OneOperator(world)
        for _ in range(3):
            with pytest.raises(ApiError, match="not now"):
                await operator.reconcile()
            assert world.condition("kic1", "Complete") == ("False", "JobRefused", f"a: JobRefused: {status}: not now")
            assert world.status("kic1")["state"] == "Pending"
            assert not operator.window.holds("kic1"), "others may go on"
        world.refuse = lambda verb, kind, name: None
        await drive(world, operator)

    asyncio.run(scenario())
    (step,) = world.status("kic1")["steps"]
    assert (step["state"], step["attempt"]) == ("Succeeded", 1)


def test_what_may_go_goes_although_a_job_is_refused() -> None:
    """It may be what the quota is used up by."""
    world = one_star({"a": [], "b": ["a"]})
    world.star("kic1", stages="PerStep")

    async def scenario() -> None:
        operator = OneOperator(world)
        await operator.reconcile()
        world.finish(world.active_jobs()[0])
        world.refuse = lambda verb, kind, name: ApiError(403, "quota") if (verb, kind) == ("create", JOB) else None
        for _ in range(5):
            with pytest.raises(ApiError, match="quota"):
                await operator.reconcile()
            operator.logs.work()
            world.advance(100)
        assert not world.all(JOB)
        world.refuse = lambda verb, kind, name: None
        await drive(world, operator)

    asyncio.run(scenario())
    assert states(world) == {"a": "Succeeded", "b": "Succeeded"}


def test_a_pod_that_may_not_be_limited_does_not_hold_up_the_status() -> None:
    world = one_star({"a": [], "b": ["a"]}, module_fields={"b": {"timeout": "60s"}})

    async def scenario() -> None:
        operator = OneOperator(world)
        await operator.reconcile()
        world.run_until(world.active_jobs()[0], "b")
        world.advance(90)
        world.refuse = lambda verb, kind, name: ApiError(403, "no") if (verb, kind) == ("patch", POD) else None
        await operator.reconcile()
        assert any(one.startswith("patch pods") for one in world.requests)
        assert states(world) == {"a": "Publishing", "b": "Running"}

    asyncio.run(scenario())


def test_a_star_whose_graph_is_lost_gives_its_slot_away() -> None:
    world = one_star({"a": [], "b": ["a"]})
    world.star("kic1", stages="PerStep")
    world.star("kic2")

    async def scenario() -> None:
        operator = OneOperator(world, slots=1)
        await operator.reconcile("kic1")
        for name in world.revisions():
            world.remove(REVISION, name)
        world.catalogue(*dag({"a": []}))
        operator = OneOperator(world, slots=1)
        await operator.reconcile("kic1")
        await operator.reconcile("kic2")
        world.finish(world.active_jobs()[0])
        await operator.reconcile("kic1")
        assert world.condition("kic1", "Accepted")[1] == "RevisionLost"
        await drive(world, operator, "kic2")

    asyncio.run(scenario())
    assert world.status("kic2")["state"] == "Succeeded"


def test_an_event_that_cannot_be_written_changes_nothing_else() -> None:
    world = one_star({"a": []})
    world.refuse = lambda verb, kind, name: ApiError(403, "no events") if kind is EVENT else None
    run(world)
    assert world.status("kic1")["state"] == "Succeeded"
