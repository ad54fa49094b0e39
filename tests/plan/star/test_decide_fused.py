"""Several steps in one Job: live states, what becomes of a Job that ends half-way, salvages."""

import pytest

from plato_sas.api import StarState, StepState
from plato_sas.plan.star.decide import StartRun
from tests.support.samples import LIGHT_CURVE, graph, output_of
from tests.support.simulator import OUT_OF_MEMORY, TEMPORARY, Bad, Ok, World, ending

CHAIN = graph({"a": [], "b": ["a"], "c": ["b"]})
APART = graph({"a": [], "b": [], "c": []})


def stopped_at(world: World, step: str, how: str = "Evicted") -> World:
    """The first Job is killed while the step's module runs."""
    world.decide()
    world.begin_step(step)
    world.job_of(step).kill(how)
    world.decide()
    return world


# Live


def test_each_step_shows_its_own_state_while_the_job_runs() -> None:
    world = World(CHAIN)
    world.decide()
    assert world.states() == {"a": "Running", "b": "Pending", "c": "Pending"}
    assert (world.status.progress, world.status.step) == ("0/3", "a")
    world.begin_step("b")
    world.decide()
    assert world.states() == {"a": "Publishing", "b": "Running", "c": "Pending"}
    assert (world.status.progress, world.status.step) == ("1/3", "b")
    a, b = world.step("a"), world.step("b")
    assert (a.exit_code, a.attempt, b.attempt) == (0, 1, 1)
    assert a.finished_at is not None
    assert b.started_at is not None
    assert a.finished_at < b.started_at
    assert a.job == b.job == world.job_of("a").name
    assert world.step("c").job is None
    world.end_step("c")
    world.decide()
    assert set(world.states().values()) == {"Publishing"}
    assert (world.state, world.status.step) == (StarState.RUNNING, "a,b,c")
    world.finish("c")
    world.decide()
    assert set(world.states().values()) == {"Succeeded"}
    assert world.state is StarState.SUCCEEDED


def test_what_was_read_shows_as_soon_as_it_is_staged() -> None:
    world = World(CHAIN)
    world.decide()
    world.begin_step("a")
    world.decide()
    assert world.status.inputs == {LIGHT_CURVE: "1" * 64}


def test_a_fused_step_reads_what_the_one_before_has_made() -> None:
    world = World(CHAIN).run()
    (one,) = world.stage("b").description.steps[1].inputs
    attempt = world.stage("b").description.id
    assert (one.made_by, one.path) == ("a", f"q1/KIC6603624/.attempts/{attempt}/a/{output_of('a')}.h5")


# Half-way


def test_what_ended_well_is_published_and_the_rest_goes_on_from_there() -> None:
    world = World(CHAIN, ending(b=[TEMPORARY, Ok()])).run()
    assert world.created == ["a/1+b/1+c/1", "salvage a/1", "b/2+c/1"]
    assert world.begun == ["a/1", "b/1", "b/2", "c/1"], "a did not run again, c had not begun"
    assert world.state is StarState.SUCCEEDED
    assert world.step("b").retries == {"Temporary": 1}
    assert world.step("a").retries is None


def test_judgement_waits_for_the_publication_of_what_the_step_was_made_from() -> None:
    world = World(CHAIN, ending(b=Bad()))
    world.decide()
    world.finish("a")
    world.decide()
    assert world.states() == {"a": "Publishing", "b": "Running", "c": "Pending"}
    assert world.step("a").reason == "Unpublished"
    assert world.step("b").reason == "AwaitingPublication"
    world.job_of("a").finish()
    world.decide()
    assert world.states() == {"a": "Succeeded", "b": "Failed", "c": "Skipped"}
    assert (world.step("b").reason, world.step("b").exit_code) == ("ModuleFailed", 2)


def test_a_step_is_not_blamed_for_what_the_one_before_has_left_out() -> None:
    world = World(CHAIN, ending(a=Ok(sound=False))).run()
    assert world.begun == ["a/1", "b/1"]
    assert (world.step("a").state, world.step("a").reason) == (StepState.FAILED, "OutputMissing")
    assert (world.step("b").state, world.step("b").reason) == (StepState.SKIPPED, "UpstreamFailed")


def test_a_step_that_depends_on_nothing_that_waits_is_judged_at_once() -> None:
    world = World(APART, ending(b=Bad()))
    world.decide()
    world.finish("a")
    world.decide()
    assert world.states() == {"a": "Publishing", "b": "Failed", "c": "Running"}
    assert world.created[1:] == ["salvage a/1", "c/1"]


def test_memory_grows_inside_a_fused_stage() -> None:
    fields = {"b": {"resources": {"memory": "1Gi", "memoryCap": "2Gi"}}}
    built = graph({"a": [], "b": ["a"], "c": ["b"]}, module_fields=fields)
    world = World(built, ending(b=[OUT_OF_MEMORY, Ok()])).run()
    assert world.created == ["a/1+b/1+c/1", "salvage a/1", "b/2+c/1"]
    assert world.stage("b", 2).steps[0].memory == "2048Mi"


def test_an_eviction_between_two_steps_costs_neither_of_them() -> None:
    world = World(CHAIN)
    world.decide()
    world.end_step("a")
    world.job_of("a").kill("Evicted")
    world.decide()
    assert world.states() == {"a": "Publishing", "b": "Pending", "c": "Pending"}
    world.run()
    assert world.begun == ["a/1", "b/1", "c/1"]
    assert [step.retries for step in world.status.steps] == [None, None, None]


def test_an_eviction_during_a_step_costs_that_step_alone() -> None:
    world = stopped_at(World(CHAIN), "b").run()
    assert world.begun == ["a/1", "b/1", "b/2", "c/1"]
    assert [step.retries for step in world.status.steps] == [None, {"Infrastructure": 1}, None]


def test_a_pod_that_is_gone_without_a_word_leaves_what_was_seen_before() -> None:
    world = World(CHAIN)
    world.decide()
    world.begin_step("b")
    world.decide()
    world.job_of("b").kill("PodLost")
    world.run()
    assert world.begun == ["a/1", "b/1", "b/2", "c/1"]
    assert world.step("b").retries == {"Infrastructure": 1}


def test_a_job_deleted_by_hand_is_salvaged_and_the_running_step_made_again() -> None:
    world = World(CHAIN)
    world.decide()
    world.begin_step("b")
    world.decide()
    world.lose("b")
    world.decide()
    assert world.states() == {"a": "Publishing", "b": "Pending", "c": "Pending"}
    assert world.step("b").reason == "JobLost"
    assert world.run().begun == ["a/1", "b/1", "b/2", "c/1"]


def test_outputs_that_are_gone_are_made_again_with_what_was_made_of_them() -> None:
    world = World(CHAIN)
    world.decide()
    world.begin_step("c")
    world.decide()
    world.volume.folders.clear()
    world.job_of("c").kill("Evicted")
    world.run()
    assert world.begun == ["a/1", "b/1", "c/1", "a/2", "b/2", "c/2"]
    assert world.step("a").retries == {"Infrastructure": 1}
    assert world.state is StarState.SUCCEEDED


def test_a_missing_input_of_a_later_step_does_not_keep_the_others_from_running() -> None:
    """Nor is it told of a step that may never be asked to run: the star ends as it would step by step."""
    world = World(APART)
    world.volume.absent = frozenset({"c"})
    world.run()
    assert world.states() == {"a": "Succeeded", "b": "Succeeded", "c": "Failed"}
    assert world.step("c").reason == "InputMissing"
    late = World(CHAIN, ending(a=Bad()))
    late.volume.absent = frozenset({"c"})
    late.run()
    assert late.created == ["a/1+b/1+c/1", "a/2+b/1"]
    assert late.step("c").reason == "UpstreamFailed"


# Reuse


def test_what_another_campaign_has_made_is_not_run_again() -> None:
    first = World(CHAIN).run()
    world = World(CHAIN)
    world.volume.library = {one.key: one for one in first.volume.products.values()}
    world.run()
    assert set(world.states().values()) == {"Reused"}
    assert (world.begun, world.state) == ([], StarState.SUCCEEDED)
    assert [one.digest for one in world.status.steps] == [one.digest for one in first.status.steps]


def test_a_step_that_is_reused_leaves_the_others_of_its_stage_to_run() -> None:
    first = World(APART).run()
    world = World(APART)
    world.volume.library = {first.volume.products["b"].key: first.volume.products["b"]}
    world.run()
    assert world.states() == {"a": "Succeeded", "b": "Reused", "c": "Succeeded"}
    assert world.begun == ["a/2", "c/1"]
    assert world.step("a").retries is None


# Salvages


def half_way(world: World) -> World:
    """a and b have ended well, c was evicted, the salvage is under way."""
    stopped_at(world, "c")
    assert world.created == ["a/1+b/1+c/1", "salvage a/1+b/1"]
    return world


def test_a_salvage_that_fails_is_made_again_after_a_pause_within_the_infrastructure_budget() -> None:
    world = half_way(World(CHAIN))
    pauses = []
    for _ in range(6):
        world.job_of("a").kill("Evicted")
        decision = world.decide()
        pauses.append(decision.again_after)
        world.time += decision.again_after or 0
        world.decide()
    assert pauses[:5] == [2, 4, 8, 16, 32]
    assert [one for one in world.created if one.startswith("salvage a")] == ["salvage a/1+b/1"] * 6
    assert world.states() == {"a": "Failed", "b": "Skipped", "c": "Skipped"}
    assert (world.step("a").reason, world.step("b").reason) == ("Evicted", "UpstreamFailed")


def test_a_salvage_that_succeeds_in_the_end() -> None:
    world = half_way(World(CHAIN))
    world.job_of("a").kill("PodLost")
    assert world.run().state is StarState.SUCCEEDED
    assert world.begun == ["a/1", "b/1", "c/1", "c/2"]


def test_a_salvage_that_somebody_deletes_is_made_again() -> None:
    world = half_way(World(CHAIN))
    world.lose("a")
    world.decide()
    assert world.created[1:] == ["salvage a/1+b/1"] * 2
    assert world.run().state is StarState.SUCCEEDED


def test_a_report_that_holds_few_steps_is_followed_by_another() -> None:
    world = World(graph({name: [] for name in "abcde"}))
    world.volume.room = 2
    world.run()
    assert world.created == ["a/1+b/1+c/1+d/1+e/1", "salvage c/1+d/1+e/1", "salvage e/1"]
    assert world.state is StarState.SUCCEEDED


def test_publish_killed_between_two_steps_reports_what_it_had_published() -> None:
    world = World(CHAIN)
    world.decide()
    job = world.job_of("a")
    while job.running != "publish":
        job.tick()
    alive = iter([True, False, False])
    job.publish(lambda: next(alive))
    assert [one[0] for one in world.volume.published] == ["a"]
    world.run()
    assert world.begun == ["a/1", "b/1", "c/1"]
    assert [one[0] for one in world.volume.published] == ["a", "b", "c"]


def test_a_suspended_star_is_at_rest_with_what_is_left_to_publish() -> None:
    world = World(CHAIN)
    world.decide()
    world.end_step("a")
    world.spec["desiredState"] = "Suspend"
    world.job_of("a").kill("Evicted")
    decision = world.decide()
    assert not [one for one in decision.actions if isinstance(one, StartRun)]
    assert (world.state, world.step("a").state) == (StarState.SUSPENDED, StepState.PUBLISHING)
    assert (decision.busy, decision.needs_slot) == (False, False)
    world.spec["desiredState"] = "Run"
    assert world.run().begun == ["a/1", "b/1", "c/1"]


@pytest.mark.parametrize("crash_after", [0, 1, 2])
def test_a_crash_around_a_salvage_makes_no_second_one(crash_after: int) -> None:
    world = World(APART, ending(b=[TEMPORARY, Ok()]))
    world.decide()
    world.finish("a")
    world.decide(crash_after=crash_after)
    world.run()
    assert world.created == ["a/1+b/1+c/1", "salvage a/1", "c/1", "b/2"]
    assert world.state is StarState.SUCCEEDED
