"""What the user wants of a star, and what holds it: desired states, slots, specs that do not fit, refusals."""

from functools import partial
from typing import Any

import pytest

from plato_sas.api import StarState, StepState
from plato_sas.plan.refusal import Refusal
from plato_sas.plan.star.decide import ReleaseJob, StopJob
from plato_sas.plan.star.refusals import with_refusals
from tests.support.samples import graph, processing
from tests.support.simulator import Bad, Ok, Outcome, World, ending

DIAMOND = graph({"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]})
CHAIN = graph({"a": [], "b": ["a"], "c": ["b"]})
# A Job for every step, so that what is said of a step can be seen apart from its neighbours.
per_step = partial(World, stages="PerStep")


# Desired states


def test_a_suspended_star_finishes_what_runs_and_starts_nothing() -> None:
    world = per_step(CHAIN)
    world.decide()
    world.spec["desiredState"] = "Suspend"
    world.decide()
    assert world.state is StarState.RUNNING
    world.finish("a")
    world.decide()
    assert world.created == ["a/1"]
    assert (world.state, world.step("a").state) == (StarState.SUSPENDED, StepState.SUCCEEDED)
    assert world.condition("Complete")[1] == "Suspended"
    assert world.decide().needs_slot is False
    world.spec["desiredState"] = "Run"
    assert world.run().state is StarState.SUCCEEDED
    assert world.created == ["a/1", "b/1", "c/1"]


def test_cancel_stops_the_jobs_and_is_final() -> None:
    world = per_step(DIAMOND)
    world.decide()
    world.finish("a")
    world.decide()
    world.spec["desiredState"] = "Cancel"
    decision = world.decide()
    assert sum(isinstance(one, StopJob) for one in decision.actions) == 2
    assert world.active() == []
    assert world.states() == {"a": "Succeeded", "b": "Cancelled", "c": "Cancelled", "d": "Cancelled"}
    assert world.state is StarState.CANCELLED
    assert all(isinstance(one, ReleaseJob) for one in world.decide().actions)
    world.spec["desiredState"] = "Run"
    world.decide()
    assert world.state is StarState.CANCELLED


def test_cancel_after_a_crash_still_stops_the_jobs() -> None:
    world = per_step(DIAMOND)
    world.decide()
    world.finish("a")
    world.decide()
    world.spec["desiredState"] = "Cancel"
    stop = next(i for i, one in enumerate(world.decide(crash_after=0).actions) if isinstance(one, StopJob))
    world.decide(crash_after=stop + 1)
    assert len(world.active()) == 1
    world.decide()
    assert world.active() == []
    assert world.state is StarState.CANCELLED


def test_a_finished_star_cannot_be_cancelled_any_more() -> None:
    world = per_step(CHAIN).run()
    world.spec["desiredState"] = "Cancel"
    world.decide()
    assert world.state is StarState.SUCCEEDED


# Slots


def test_a_star_without_a_slot_waits_and_says_so() -> None:
    world = per_step(CHAIN)
    world.admitted = False
    decision = world.decide()
    assert decision.needs_slot is True
    assert world.created == []
    assert world.state is StarState.PENDING
    assert world.condition("Complete")[:2] == ("False", "WaitingForSlot")
    world.admitted = True
    assert world.run().state is StarState.SUCCEEDED


def test_a_star_with_nothing_to_start_needs_no_slot() -> None:
    world = per_step(CHAIN)
    world.decide()
    assert world.decide().needs_slot is False


# Specs that do not fit


def test_a_star_that_does_not_fit_is_rejected_and_starts_nothing() -> None:
    world = per_step(CHAIN, parameters={"nope": {"x": 1}})
    decision = world.decide()
    assert decision.actions == ()
    assert world.state is StarState.REJECTED
    assert world.condition("Accepted") == (
        "False", "SpecInvalid", "spec.parameters.nope: pipeline 'sas-test' has no step 'nope'"
    )  # fmt: skip
    world.spec["parameters"] = {}
    assert world.run().state is StarState.SUCCEEDED


def test_a_spec_made_invalid_in_flight_starts_nothing_more() -> None:
    world = per_step(CHAIN)
    world.decide()
    world.spec["inputs"] = {"DP9": {}}
    world.decide()
    world.finish("a")
    world.decide()
    assert world.created == ["a/1"]
    assert world.step("a").state is StepState.SUCCEEDED
    assert world.condition("Accepted")[0] == "False"
    assert "spec.inputs.DP9" in world.condition("Accepted")[2]
    world.spec["inputs"] = {}
    assert world.run().created == ["a/1", "b/1", "c/1"]
    assert world.condition("Accepted") == ("True", "Accepted", "")


def test_a_transition_time_moves_with_its_status_only() -> None:
    world = per_step(CHAIN)
    world.decide()
    before = {one.type: one.last_transition_time for one in world.status.conditions}
    world.run()
    after = {one.type: one.last_transition_time for one in world.status.conditions}
    assert after["Accepted"] == before["Accepted"]
    assert after["Complete"] > before["Complete"]


@pytest.mark.parametrize(
    ("outcome", "spec", "true"),
    [
        (Ok(), {}, {"Accepted", "Complete", "Ready"}),
        (Bad(), {}, {"Accepted", "Failed", "Stalled"}),
        (Ok(), {"desiredState": "Cancel"}, {"Accepted", "Failed", "Stalled"}),
    ],
)
def test_tools_can_tell_how_a_star_stands(outcome: Outcome, spec: dict[str, Any], true: set[str]) -> None:
    """`kubectl wait` ends for each end; kstatus (Argo CD, Flux) reads Ready, Reconciling and Stalled."""

    def holding() -> set[str]:
        return {one.type for one in world.status.conditions if one.status == "True"}

    world = World(graph({"a": []}), ending(a=outcome))
    world.decide()
    assert holding() == {"Accepted", "Reconciling"}
    world.spec |= spec
    world.run()
    assert holding() == true


def test_a_suspended_star_waits_for_its_user() -> None:
    world = per_step(CHAIN, desiredState="Suspend")
    world.decide()
    assert {one.type: one.status for one in world.status.conditions} == {
        "Accepted": "True", "Complete": "False", "Ready": "False"
    }  # fmt: skip


# Jobs that get nowhere


def test_a_job_that_is_not_allowed_its_pod_is_told_after_a_while() -> None:
    world = per_step(graph({"a": []}))
    world.decide()
    world.job_of("a").has_pod = False
    world.time += 5
    decision = world.decide()
    assert world.step("a").reason is None
    assert decision.again_after is not None, "no event may ever come"
    world.time += 30
    world.decide()
    assert world.step("a").reason == "PodNotCreated"
    assert world.step("a").message is not None
    assert world.job_of("a").name in world.step("a").message


def test_a_job_that_the_api_server_would_always_refuse_fails_its_first_step() -> None:
    world = World(CHAIN)
    decision = world.decide(crash_after=0)
    refusal = Refusal("a", "Job is invalid: spec: too long", permanent=True)
    status = with_refusals(processing(**world.spec), decision.status, [refusal], world.now)
    assert (status.steps[0].state, status.steps[0].reason) == (StepState.FAILED, "JobRefused")
    world.status = status
    assert world.run().states() == {"a": "Failed", "b": "Skipped", "c": "Skipped"}


def test_a_job_that_is_refused_for_now_has_not_begun_and_nor_has_its_stars_deadline() -> None:
    world = World(CHAIN, deadline="1h")
    decision = world.decide(crash_after=0)
    refusal = Refusal("a", "exceeded quota", permanent=False)
    world.status = with_refusals(processing(**world.spec), decision.status, [refusal], world.now)
    assert (world.step("a").state, world.step("a").attempt) == (StepState.PENDING, 0)
    assert "exceeded quota" in world.condition("Complete")[2]
    assert (world.state, world.status.started_at) == (StarState.PENDING, None)
    assert world.run().created == ["a/1+b/1+c/1"]


def test_a_salvage_that_is_refused_for_now_is_asked_for_again() -> None:
    world = World(CHAIN)
    world.decide()
    world.end_step("a")
    world.job_of("a").kill("Evicted")
    decision = world.decide(crash_after=0)
    refusal = Refusal("a", "exceeded quota", permanent=False)
    world.status = with_refusals(processing(**world.spec), decision.status, [refusal], world.now)
    assert (world.step("a").state, world.step("a").reason) == (StepState.PUBLISHING, "JobRefused")
    assert world.run().state is StarState.SUCCEEDED
    assert world.volume.published[0][0] == "a"
