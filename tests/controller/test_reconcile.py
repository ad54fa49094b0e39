"""Stars brought to their end through the API: the ordinary course, fused stages, refusals."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from plato_sas.controller.client import ApiError
from plato_sas.controller.resources import EVENT, JOB, MODULE, PIPELINE, POD, PROCESSING, REVISION
from sas_cluster import FakeCluster
from sas_operator import OneOperator, drive
from sas_samples import dag

DIAMOND: Mapping[str, list[str]] = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}


def cluster(edges: Mapping[str, list[str]] = DIAMOND, **options: Any) -> FakeCluster:
    made = FakeCluster()
    made.catalogue(*dag(edges, **options))
    made.star("kic1")
    return made


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
    assert len(world.jobs_created) == 1, "nothing has to be decided between the steps"
    assert status["revision"] in world.revisions()
    assert not world.all(JOB), "every Job is let go"
    assert not world.all(EVENT), "the ordinary end is not worth a write for every star"


def test_a_failed_step_is_told_in_status_and_event() -> None:
    world = cluster()
    world.kubelet.exit_codes["b"] = [3]
    run(world)
    assert states(world) == {"a": "Succeeded", "b": "Failed", "c": "Succeeded", "d": "Skipped"}
    assert world.condition("kic1", "Complete")[:2] == ("False", "StepFailed")
    warnings = [one["message"] for one in world.all(EVENT).values() if one["type"] == "Warning"]
    assert warnings == ["b: ModuleFailed (exit code 3): bad data"]


def test_at_rest_a_new_operator_asks_for_nothing() -> None:
    world = cluster()
    run(world)
    world.requests.clear()

    async def again() -> None:
        operator = OneOperator(world)
        for _ in range(3):
            await operator.reconcile()

    asyncio.run(again())
    assert world.requests == []


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
    assert asyncio.run(OneOperator(world).reconcile()) is None
    assert untouched(world)


def test_jobs_of_an_earlier_star_of_the_same_name_do_not_count() -> None:
    world = cluster({"a": []})
    run(world)
    world.remove(PROCESSING, "kic1")  # its Job is still waiting for the garbage collector
    world.star("kic1")
    run(world)
    assert len(set(world.jobs_created)) == 2
    assert world.status("kic1")["state"] == "Succeeded"


# Stages


def test_each_steps_state_inside_a_fused_job_is_told_while_it_runs() -> None:
    world = cluster()

    async def scenario() -> None:
        operator = OneOperator(world)
        await operator.reconcile()
        assert states(world) == {"a": "Running", "b": "Pending", "c": "Pending", "d": "Pending"}
        (job,) = world.active_jobs()
        world.run_until(job, "c")
        await operator.reconcile()
        assert states(world) == {"a": "Publishing", "b": "Publishing", "c": "Running", "d": "Pending"}
        assert world.status("kic1")["progress"] == "2/4"
        await drive(world, operator)

    asyncio.run(scenario())
    assert states(world) == dict.fromkeys("abcd", "Succeeded")


def test_per_step_mode_takes_a_job_for_every_step() -> None:
    world = cluster()
    world.star("kic1", stages="PerStep")
    run(world)
    assert len(world.jobs_created) == 4
    assert world.status("kic1")["state"] == "Succeeded"


BRANCH: Mapping[str, Any] = {
    "edges": {"a": [], "b": ["a"], "c": ["b"], "z": ["a"]},
    "facts": {"a": {"flag": "boolean"}},
    "when": {"b": "facts['a'].flag", "z": "!facts['a'].flag"},
}


def test_a_stage_ends_where_a_fact_decides() -> None:
    world = cluster(**BRANCH)
    world.kubelet.facts["a"] = {"flag": True}
    run(world)
    assert states(world) == {"a": "Succeeded", "b": "Succeeded", "c": "Succeeded", "z": "Skipped"}
    assert len(world.jobs_created) == 2


def test_after_a_failure_in_the_middle_what_went_well_is_published_and_the_rest_runs_on() -> None:
    world = cluster({"a": [], "b": ["a"], "c": ["b"]})
    world.kubelet.exit_codes["b"] = [75, 0]
    run(world)
    assert states(world) == dict.fromkeys("abc", "Succeeded")
    assert world.kubelet.runs == ["a", "b", "b", "c"], "a does not run again"
    assert len([name for name in world.jobs_created if "salvage" in name]) == 1


def test_what_is_there_already_is_reused() -> None:
    world = cluster({"a": [], "b": ["a"], "c": ["b"]})
    world.kubelet.reusable = {"a", "b"}
    run(world)
    assert states(world) == {"a": "Reused", "b": "Reused", "c": "Succeeded"}
    assert world.kubelet.runs == ["c"]


def test_facts_of_an_earlier_run_are_forgotten() -> None:
    """The status is patched: what is gone has to be named."""
    world = cluster(**BRANCH)
    world.kubelet.facts["a"] = {"flag": True}
    run(world)
    world.kubelet.facts["a"] = {}
    world.star("kic1", rerun={"id": 1, "from": ["a"]})
    run(world)
    assert "facts" not in world.status("kic1") or "a" not in world.status("kic1")["facts"]
    assert states(world) == {"a": "Succeeded", "b": "Skipped", "c": "Skipped", "z": "Skipped"}
    run(world)


@pytest.mark.parametrize("change", [{"desiredState": "Cancel"}, {"priority": 5}])
def test_a_spec_changed_while_the_status_is_written_is_not_overlooked(change: dict[str, Any]) -> None:
    """The answer to the write shows it first, and the watch's word of it is old then."""
    world = cluster({"a": []})

    async def scenario() -> None:
        operator = OneOperator(world)
        patch = world.patch

        async def meanwhile(kind: Any, *rest: Any) -> Any:
            watchers, world.watchers = world.watchers, []
            world.star("kic1", **change)
            world.watchers = watchers
            return await patch(kind, *rest)

        world.patch = meanwhile  # type: ignore[method-assign, assignment]
        await operator.reconcile()
        world.patch = patch  # type: ignore[method-assign]
        assert "kic1" in operator.marked
        await drive(world, operator)

    asyncio.run(scenario())
    assert world.status("kic1")["state"] == ("Cancelled" if "desiredState" in change else "Succeeded")
    assert world.status("kic1")["observedGeneration"] == 2


def test_a_star_that_has_been_decided_to_its_end_is_not_looked_at_again_for_its_own_status() -> None:
    world = cluster()

    async def scenario() -> None:
        operator = OneOperator(world)
        await operator.reconcile()
        assert operator.marked == []
        world.finish(world.active_jobs()[0])
        operator.marked.clear()
        await operator.reconcile()
        assert operator.marked == ["kic1"], "its Job may go now that its outcome is stored"

    asyncio.run(scenario())


def test_a_star_deleted_while_its_status_is_written_does_not_come_back() -> None:
    world = cluster({"a": []})

    async def scenario() -> None:
        operator = OneOperator(world)
        patch = world.patch

        async def meanwhile(*arguments: Any) -> Any:
            answer = await patch(*arguments)
            world.remove(PROCESSING, "kic1")
            return answer

        world.patch = meanwhile  # type: ignore[method-assign, assignment]
        await operator.reconcile()
        assert operator.view.processing("kic1") is None

    asyncio.run(scenario())


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
        everything = dict(world.objects)
        for kind in (PIPELINE, MODULE):
            for name in world.all(kind):
                del world.objects[kind.plural, name]
        operator = OneOperator(world)
        world.objects |= everything
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


def test_what_may_go_goes_although_a_job_is_refused() -> None:
    """It may be what the quota is used up by."""
    world = cluster({"a": [], "b": ["a"]})
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
    world = cluster({"a": [], "b": ["a"]}, module_fields={"b": {"timeout": "60s"}})

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
    world = cluster({"a": [], "b": ["a"]})
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
    world = cluster({"a": []})
    world.refuse = lambda verb, kind, name: ApiError(403, "no events") if kind is EVENT else None
    run(world)
    assert world.status("kic1")["state"] == "Succeeded"
