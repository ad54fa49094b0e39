"""Stars brought to their end through the API: the ordinary course, fused stages, what changes meanwhile."""

import asyncio
from collections.abc import Mapping
from typing import Any

import pytest

from plato_sas.controller.kube.resources import EVENT, JOB, PROCESSING
from tests.support.operator import OneOperator, drive, one_star, run, states
from tests.support.samples import dag

# The ordinary course


def test_a_star_goes_through_its_pipeline() -> None:
    world = one_star()
    run(world)
    status = world.status("kic1")
    assert (status["state"], status["progress"]) == ("Succeeded", "4/4")
    assert len(world.jobs_created) == 1, "nothing has to be decided between the steps"
    assert status["revision"] in world.revisions()
    assert not world.all(JOB), "every Job is deleted"
    assert not world.all(EVENT), "the ordinary end is not worth a write for every star"


def test_a_failed_step_is_told_in_status_and_event() -> None:
    world = one_star()
    world.kubelet.exit_codes["b"] = [3]
    run(world)
    assert states(world) == {"a": "Succeeded", "b": "Failed", "c": "Succeeded", "d": "Skipped"}
    assert world.condition("kic1", "Complete")[:2] == ("False", "StepFailed")
    warnings = [one["message"] for one in world.all(EVENT).values() if one["type"] == "Warning"]
    assert warnings == ["b: ModuleFailed (exit code 3): bad data"]


def test_at_rest_a_new_operator_asks_for_nothing() -> None:
    world = one_star()
    run(world)
    world.requests.clear()

    async def again() -> None:
        operator = OneOperator(world)
        for _ in range(3):
            await operator.reconcile()

    asyncio.run(again())
    assert world.requests == []


def test_a_pipeline_edited_in_flight_does_not_change_the_star() -> None:
    world = one_star({"a": [], "b": ["a"]})

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
    world = one_star({"a": []})
    world.star("kic2")
    run(world)
    run(world, "kic2")
    assert len(world.revisions()) == 1


def test_a_star_that_is_being_deleted_is_left_alone() -> None:
    world = one_star()
    world.objects[PROCESSING.plural, "kic1"]["metadata"]["deletionTimestamp"] = world.now()
    assert asyncio.run(OneOperator(world).reconcile()) is None
    assert not world.jobs_created


def test_jobs_of_an_earlier_star_of_the_same_name_do_not_count() -> None:
    world = one_star({"a": []})
    run(world)
    world.remove(PROCESSING, "kic1")  # its Job is still waiting for the garbage collector
    world.star("kic1")
    run(world)
    assert len(set(world.jobs_created)) == 2
    assert world.status("kic1")["state"] == "Succeeded"


# Stages


def test_each_steps_state_inside_a_fused_job_is_told_while_it_runs() -> None:
    world = one_star()

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
    world = one_star()
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
    world = one_star(**BRANCH)
    world.kubelet.facts["a"] = {"flag": True}
    run(world)
    assert states(world) == {"a": "Succeeded", "b": "Succeeded", "c": "Succeeded", "z": "Skipped"}
    assert len(world.jobs_created) == 2


def test_after_a_failure_in_the_middle_what_went_well_is_published_and_the_rest_runs_on() -> None:
    world = one_star({"a": [], "b": ["a"], "c": ["b"]})
    world.kubelet.exit_codes["b"] = [75, 0]
    run(world)
    assert states(world) == dict.fromkeys("abc", "Succeeded")
    assert world.kubelet.runs == ["a", "b", "b", "c"], "a does not run again"
    assert len([name for name in world.jobs_created if "salvage" in name]) == 1


def test_what_is_there_already_is_reused() -> None:
    world = one_star({"a": [], "b": ["a"], "c": ["b"]})
    world.kubelet.reusable = {"a", "b"}
    run(world)
    assert states(world) == {"a": "Reused", "b": "Reused", "c": "Succeeded"}
    assert world.kubelet.runs == ["c"]


def test_facts_of_an_earlier_run_are_forgotten() -> None:
    """The status is patched: what is gone has to be named."""
    world = one_star(**BRANCH)
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
    world = one_star({"a": []})

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
    world = one_star()

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
    world = one_star({"a": []})

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
