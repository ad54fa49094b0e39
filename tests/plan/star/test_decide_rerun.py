"""Reruns, deadlines and timeouts."""

import pytest

from plato_sas.api import StarState, StepState
from plato_sas.plan.graph.graph import build_graph
from plato_sas.plan.star.decide import StartRun, StopJob
from plato_sas.plan.star.timeouts import LimitPod
from tests.support.samples import dag, graph
from tests.support.simulator import Bad, Hangs, Ok, World, ending

TUNED = {"parameters": [{"name": "snr", "type": "integer", "default": 3}]}
CHAIN = graph({"a": [], "b": ["a"], "c": ["b"], "x": []}, module_fields={"b": TUNED})


def rerun(world: World, number: int = 1, **wish: object) -> World:
    world.spec["rerun"] = {"id": number, **wish}
    return world


def test_a_rerun_without_a_change_reuses_everything() -> None:
    world = rerun(World(CHAIN).run()).run()
    assert set(world.states().values()) == {"Reused"}
    assert len(world.begun) == 4
    assert (world.state, world.status.rerun) == (StarState.SUCCEEDED, 1)


def test_one_changed_parameter_runs_exactly_what_is_downstream_of_it() -> None:
    world = World(CHAIN).run()
    world.spec["parameters"] = {"b": {"snr": 5}}
    rerun(world).run()
    assert world.states() == {"a": "Reused", "b": "Succeeded", "c": "Succeeded", "x": "Reused"}
    assert [one.partition("/")[0] for one in world.begun[4:]] == ["b", "c"]


def test_a_rerun_from_a_step_runs_it_though_nothing_has_changed_and_looks_at_what_is_downstream() -> None:
    world = rerun(World(CHAIN).run(), **{"from": ["b"]})
    world.decide()
    assert world.states() == {"a": "Succeeded", "b": "Pending", "c": "Pending", "x": "Succeeded"}
    world.run()
    assert [one.partition("/")[0] for one in world.begun[4:]] == ["b", "c"]
    assert world.states() == {"a": "Succeeded", "b": "Succeeded", "c": "Succeeded", "x": "Succeeded"}


def test_a_rerun_of_failed_steps_leaves_the_others_alone() -> None:
    world = World(CHAIN, ending(b=[Bad(), Ok()])).run()
    assert world.states() == {"a": "Succeeded", "b": "Failed", "c": "Skipped", "x": "Succeeded"}
    rerun(world, failed=True).run()
    assert world.states() == {"a": "Succeeded", "b": "Succeeded", "c": "Succeeded", "x": "Succeeded"}
    assert len(world.begun) == 3 + 2
    assert world.state is StarState.SUCCEEDED


def test_a_rerun_is_written_down_before_anything_of_it_starts_and_is_taken_up_once() -> None:
    world = rerun(World(CHAIN).run(), **{"from": ["b"]})
    decision = world.decide()
    assert world.status.rerun == 1
    assert not [one for one in decision.actions if isinstance(one, StartRun)]
    world.run()
    count = len(world.created)
    assert world.run().created == world.created[:count]


@pytest.mark.parametrize("name", ["b", "c"])
def test_a_rerun_stops_the_job_that_runs_such_a_step_or_would_run_it_later(name: str) -> None:
    world = World(CHAIN)
    world.decide()
    world.begin_step("b")
    world.decide()
    decision = rerun(world, **{"from": [name]}).decide()
    assert [type(one) for one in decision.actions] == [StopJob]
    assert world.step("a").state is StepState.PUBLISHING, "it is not concerned, and ended well"
    assert {world.step(one).state for one in "bc"} == {StepState.PENDING}
    world.run()
    assert world.state is StarState.SUCCEEDED
    assert world.begun.count("a/1") == 1
    assert world.step("b").retries is None
    assert [one.forced for one in world.stage(name, 2).description.steps if one.name == name] == [1]


def test_a_rerun_takes_the_pipeline_as_it_is_then() -> None:
    world = World(CHAIN).run()
    spec, modules = dag({"a": [], "b": ["a"], "d": ["b"]}, module_fields={"b": TUNED})
    world.graph = build_graph("sas-test", spec, modules)
    world.revision = "sas-test-newer"
    rerun(world, **{"from": ["d"]}).run()
    assert world.states() == {"a": "Reused", "b": "Reused", "d": "Succeeded"}
    assert world.status.revision == "sas-test-newer"


def test_a_rerun_from_a_step_that_does_not_exist_waits_and_says_so() -> None:
    world = rerun(World(CHAIN).run(), **{"from": ["zz"]})
    world.decide()
    assert world.status.rerun is None
    assert world.condition("Accepted")[2] == "spec.rerun.from: pipeline 'sas-test' has no step 'zz'"
    assert world.state is StarState.SUCCEEDED
    rerun(world, 2, **{"from": ["a"]}).run()
    assert world.status.rerun == 2


def test_a_cancelled_star_runs_again_if_it_is_wanted_again() -> None:
    world = World(CHAIN)
    world.decide()
    world.spec["desiredState"] = "Cancel"
    world.decide()
    assert world.state is StarState.CANCELLED
    world.spec["desiredState"] = "Run"
    assert rerun(world, failed=True).run().state is StarState.SUCCEEDED


def test_a_rerun_below_a_step_that_was_cancelled_does_not_run_without_it() -> None:
    world = World(graph({"a": [], "b": ["a"]}, optional=[("b", "a")]))
    world.decide()
    world.spec["desiredState"] = "Cancel"
    world.decide()
    world.spec["desiredState"] = "Run"
    rerun(world, **{"from": ["b"]}).run()
    assert world.step("b").reason == "UpstreamFailed"
    assert world.state is StarState.CANCELLED


# Deadlines


def test_a_star_past_its_deadline_is_stopped_and_has_failed() -> None:
    world = World(CHAIN, ending(b=Hangs()), deadline="5m")
    world.decide()
    world.begin_step("b")
    decision = world.decide()
    assert decision.again_after is not None
    assert 0 < decision.again_after < 300
    world.time += decision.again_after
    decision = world.decide()
    assert [type(one) for one in decision.actions] == [StopJob]
    assert world.states() == {"a": "Cancelled", "b": "Cancelled", "c": "Cancelled", "x": "Cancelled"}
    assert {one.reason for one in world.status.steps} == {"DeadlineExceeded"}
    assert world.state is StarState.FAILED
    assert world.condition("Complete")[1:] == (
        "DeadlineExceeded", "spec.deadline: the star was not finished within 5m"
    )  # fmt: skip


def test_a_deadline_counts_from_the_first_job() -> None:
    world = World(CHAIN, deadline="5m")
    world.admitted = False
    world.decide()
    world.time += 3600
    assert world.decide().again_after is None
    assert world.state is StarState.PENDING
    world.admitted = True
    assert world.run().state is StarState.SUCCEEDED


def test_a_star_with_nothing_left_to_run_has_met_its_deadline() -> None:
    built = graph({"a": [], "b": ["a"]}, facts={"a": {"flag": "boolean"}}, when={"b": "facts['a'].flag"})
    world = World(built, ending(a=Ok({"flag": False})), deadline="5m")
    world.decide()
    world.finish("a")
    world.time += 3600
    world.decide()
    assert (world.state, world.states()) == (StarState.SUCCEEDED, {"a": "Succeeded", "b": "Skipped"})


def test_cancelled_with_unpublished_steps_nothing_of_them_is_published_later() -> None:
    world = World(CHAIN)
    world.decide()
    world.end_step("a")
    world.job_of("a").kill("Evicted")
    world.decide()
    world.spec["desiredState"] = "Cancel"
    world.decide()
    assert world.active() == []
    assert world.step("a").state is StepState.CANCELLED
    assert world.decide().busy is False
    assert world.volume.products == {}


# Timeouts


SLOW = graph(
    {"a": [], "b": ["a"]},
    module_fields={"a": {"timeout": "10m"}, "b": {"timeout": "2h"}},
)


def test_a_step_that_hangs_is_stopped_when_its_own_time_is_up() -> None:
    world = World(SLOW, ending(a=Hangs()))
    world.decide()
    world.begin_step("a")
    decision = world.decide()
    assert decision.again_after == 600
    world.time += 600
    (limit,) = world.decide().actions
    assert isinstance(limit, LimitPod)
    assert 600 <= limit.seconds <= 603
    world.run()
    assert (world.step("a").state, world.step("a").reason) == (StepState.FAILED, "DeadlineExceeded")
    assert world.step("b").reason == "UpstreamFailed"


def test_a_pod_is_limited_once() -> None:
    world = World(SLOW, ending(a=Hangs()))
    world.decide()
    world.begin_step("a")
    world.time += 601
    decision = world.decide(crash_after=0)
    (limit,) = decision.actions
    assert isinstance(limit, LimitPod)
    world.job_of("a").spec["activeDeadlineSeconds"] = limit.seconds
    world.time += 10
    assert world.decide().actions == ()


def test_a_step_that_has_only_just_begun_is_not_to_blame_for_the_end_of_its_pods_time() -> None:
    """The step before had ended in the very moment in which the pod was limited for it."""
    world = World(SLOW)
    world.decide()
    world.begin_step("b")
    world.job_of("b").kill("DeadlineExceeded")
    world.decide()
    world.finish("a")
    world.decide()
    assert world.step("b").retries == {"Infrastructure": 1}
    assert world.run().state is StarState.SUCCEEDED


@pytest.mark.parametrize("given", [None, 30])
def test_a_container_that_cannot_begin_is_given_a_time_of_its_own(given: int | None) -> None:
    """Ten minutes or what the site says, however long its step may take."""
    world = World(SLOW)
    world.start_seconds = given or world.start_seconds
    world.decide()
    world.end_step("a")
    world.job_of("b").hold_up("ErrImagePull")
    decision = world.decide()
    assert decision.again_after is not None
    assert (given or 600) - 10 < decision.again_after <= (given or 600)
    assert world.step("b").reason == "ErrImagePull"
    world.time += decision.again_after
    (limit,) = world.decide().actions
    assert isinstance(limit, LimitPod)
    world.decide()
    assert world.step("b").retries == {"Infrastructure": 1} or world.step("b").reason == "AwaitingPublication"
    world.run()
    assert world.state is StarState.SUCCEEDED
    assert world.step("b").retries == {"Infrastructure": 1}
