"""What is done about one star, scenario by scenario."""

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from plato_sas.api import StarState, StepState
from plato_sas.plan.decide import ReleaseJob, StartStage, StopJob, decide
from sas_samples import LIGHT_CURVE, graph, output_of
from sas_simulator import NODE_LOST, OUT_OF_MEMORY, TEMPORARY, Bad, Ok, Outcome, Outcomes, World

DIAMOND = graph({"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]})
CHAIN = graph({"a": [], "b": ["a"], "c": ["b"]})


def ending(**by_step: Outcome | list[Outcome]) -> Outcomes:
    """How attempts end: a list gives one attempt after the other, the last for all further ones."""

    def outcome(step: str, attempt: int) -> Outcome:
        planned = by_step.get(step, Ok())
        return planned[min(attempt, len(planned)) - 1] if isinstance(planned, list) else planned

    return outcome


# The ordinary course


def test_a_diamond_runs_its_branches_side_by_side() -> None:
    world = World(DIAMOND)
    world.decide()
    assert world.created == ["a/1"]
    assert (world.state, world.status.progress, world.status.step) == (StarState.RUNNING, "0/4", "a")
    world.finish_step("a")
    world.decide()
    assert world.created == ["a/1", "b/1", "c/1"]
    assert world.status.step == "b,c"
    world.finish_step("c")
    world.decide()
    assert world.created == ["a/1", "b/1", "c/1"], "d waits for both"
    world.finish_step("b")
    world.decide()
    world.finish_step("d")
    world.decide()
    assert world.created == ["a/1", "b/1", "c/1", "d/1"]
    assert set(world.states().values()) == {"Succeeded"}
    assert (world.state, world.status.progress, world.status.step) == (StarState.SUCCEEDED, "4/4", None)
    assert world.condition("Complete") == ("True", "AllStepsFinished", "")
    assert world.condition("Accepted") == ("True", "Accepted", "")
    assert world.status.finished_at == world.now


def test_a_stage_says_where_every_input_comes_from() -> None:
    world = World(DIAMOND, inputs={LIGHT_CURVE: {"sha256": "e" * 64}}).run()
    (light_curve,) = world.stage("a").description.steps[0].inputs
    assert (light_curve.volume, light_curve.path) == ("inputs", "q1/KIC6603624/lc.h5")
    assert light_curve.sha256 == "e" * 64
    from_b, from_c = world.stage("d").description.steps[0].inputs
    assert (from_b.volume, from_b.path) == ("products", f"q1/KIC6603624/b/{output_of('b')}.h5")
    assert (from_c.producer, from_c.output) == ("q1/KIC6603624/c", output_of("c"))


def test_facts_and_digests_reach_the_status() -> None:
    flagged = graph({"a": []}, facts={"a": {"flag": "boolean"}})
    world = World(flagged, ending(a=Ok({"flag": False}))).run()
    assert world.status.facts == {"a": {"flag": False}}
    assert world.step("a").digest == "a" * 64
    assert world.status.inputs == {LIGHT_CURVE: "1" * 64}
    assert (world.step("a").exit_code, world.step("a").attempt) == (0, 1)


def test_a_finished_job_is_let_go_only_after_its_outcome_is_in_the_status() -> None:
    world = World(graph({"a": []}))
    world.decide()
    world.finish_step("a")
    assert world.decide().actions == ()
    assert world.step("a").state is StepState.SUCCEEDED
    (action,) = world.decide().actions
    assert isinstance(action, ReleaseJob)
    assert world.decide().actions == ()


def test_the_seed_is_the_same_on_every_attempt_and_differs_between_steps() -> None:
    world = World(CHAIN, ending(a=[TEMPORARY, Ok()])).run()
    first, second = (world.stage("a", n).description.steps[0].seed for n in (1, 2))
    assert first == second
    assert first != world.stage("b").description.steps[0].seed


# Branches

BRANCH = {"facts": {"a": {"flag": "boolean"}}, "when": {"b": "facts['a'].flag"}}


def test_a_step_whose_condition_is_false_is_skipped_with_what_needs_it() -> None:
    built = graph({"a": [], "b": ["a"], "c": ["b"], "d": ["c"]}, **BRANCH)
    world = World(built, ending(a=Ok({"flag": False}))).run()
    assert world.states() == {"a": "Succeeded", "b": "Skipped", "c": "Skipped", "d": "Skipped"}
    assert (world.step("b").reason, world.step("b").message) == ("ConditionFalse", "when: facts['a'].flag")
    assert world.step("c").reason == "InputAbsent"
    assert world.step("c").message == f"input {output_of('b')}: step b made none"
    assert world.state is StarState.SUCCEEDED, "a skipped step is no failure"
    assert world.created == ["a/1"]


def test_a_true_condition_runs_the_step() -> None:
    world = World(graph({"a": [], "b": ["a"]}, **BRANCH), ending(a=Ok({"flag": True}))).run()
    assert world.states() == {"a": "Succeeded", "b": "Succeeded"}


def test_a_fact_that_was_not_reported_skips_the_step_and_says_so() -> None:
    world = World(graph({"a": [], "b": ["a"]}, **BRANCH), ending(a=Ok())).run()
    assert world.step("b").reason == "FactAbsent"
    assert world.state is StarState.SUCCEEDED


def test_a_step_runs_without_an_optional_input_of_a_skipped_step() -> None:
    built = graph({"a": [], "b": ["a"], "c": ["a", "b"]}, optional=[("c", "b")], **BRANCH)
    world = World(built, ending(a=Ok({"flag": False}))).run()
    assert world.states() == {"a": "Succeeded", "b": "Skipped", "c": "Succeeded"}
    assert [one.name for one in world.stage("c").description.steps[0].inputs] == [output_of("a")]


@pytest.mark.parametrize(("loose", "state"), [(True, "Succeeded"), (False, "Skipped")])
def test_an_optional_output_that_was_not_written_is_an_absent_input(loose: bool, state: str) -> None:
    built = graph(
        {"a": [], "b": ["a"]},
        optional=[("b", "a")] if loose else [],
        module_fields={"a": {"outputs": [{"name": output_of("a"), "optional": True}]}},
    )
    world = World(built, ending(a=Ok(missing=(output_of("a"),)))).run()
    assert world.states()["b"] == state
    assert world.step("a").missing == [output_of("a")]


def test_a_long_condition_still_gives_a_status_that_the_api_server_takes() -> None:
    expression = " || ".join(["facts['a'].flag"] * 53)
    assert 1000 < len(expression) <= 1024
    built = graph({"a": [], "b": ["a"]}, facts={"a": {"flag": "boolean"}}, when={"b": expression})
    world = World(built).run()
    assert world.step("b").reason == "FactAbsent"


# Failures


def test_a_failed_module_stops_what_hangs_on_it_and_nothing_else() -> None:
    built = graph({"a": [], "b": ["a"], "c": ["b"], "x": [], "y": ["x"]})
    world = World(built, ending(a=Bad(message="DP1_LC_MERGED: no TIME column", exit_code=3))).run()
    assert world.states() == {
        "a": "Failed", "b": "Skipped", "c": "Skipped", "x": "Succeeded", "y": "Succeeded"
    }  # fmt: skip
    assert world.step("a").exit_code == 3
    assert world.step("a").message == "DP1_LC_MERGED: no TIME column"
    assert (world.step("b").reason, world.step("c").reason) == ("UpstreamFailed", "UpstreamFailed")
    assert world.step("b").message == "step a did not end well"
    assert (world.state, world.status.step, world.status.progress) == (StarState.FAILED, "a", "5/5")
    status, reason, message = world.condition("Complete")
    assert (status, reason) == ("False", "StepFailed")
    assert "a: ModuleFailed: DP1_LC_MERGED: no TIME column" in message
    assert world.created.count("a/2") == 0


def test_an_optional_input_of_a_failed_step_is_not_simply_left_out() -> None:
    built = graph({"a": [], "b": ["a"]}, optional=[("b", "a")])
    world = World(built, ending(a=Bad())).run()
    assert world.step("b").reason == "UpstreamFailed"


def test_a_condition_on_a_failed_step_is_not_decided() -> None:
    built = graph({"a": [], "b": []}, facts={"a": {"ok": "boolean"}}, when={"b": "true || facts['a'].ok"})
    world = World(built, ending(a=Bad())).run()
    assert world.step("b").reason == "UpstreamFailed"


def test_only_the_end_of_a_long_log_is_kept() -> None:
    world = World(graph({"a": []}), ending(a=Bad(message="x" * 5000 + "the last line"))).run()
    kept = world.step("a").message
    assert kept is not None
    assert len(kept) == 1024
    assert kept.endswith("the last line")


def test_a_temporary_failure_is_tried_again_after_a_pause_that_doubles() -> None:
    world = World(graph({"a": []}), ending(a=[TEMPORARY, TEMPORARY, Ok()]))
    pauses = []
    world.decide()
    for attempt in (1, 2):
        world.finish_step("a")
        decision = world.decide()
        assert world.created[-1] == f"a/{attempt}"
        assert world.step("a").state is StepState.PENDING
        assert world.step("a").reason == "TemporaryFailure"
        assert world.state is StarState.RUNNING
        assert decision.again_after is not None
        pauses.append(decision.again_after)
        world.time += decision.again_after - 1
        early = world.decide()
        assert not [one for one in early.actions if isinstance(one, StartStage)]
        assert early.again_after == 1
        world.time += 1
        world.decide()
        assert world.created[-1] == f"a/{attempt + 1}"
    assert pauses == [10, 20]
    world.run()
    assert world.state is StarState.SUCCEEDED
    assert world.step("a").retries == {"Temporary": 2}


@pytest.mark.parametrize("allowed", [0, 2])
def test_temporary_failures_end_with_the_modules_budget(allowed: int) -> None:
    built = graph({"a": []}, module_fields={"a": {"retry": {"temporary": allowed}}})
    world = World(built, ending(a=TEMPORARY)).run()
    assert world.state is StarState.FAILED
    assert len(world.created) == allowed + 1
    assert (world.step("a").reason, world.step("a").exit_code) == ("TemporaryFailure", 75)


def test_memory_grows_after_each_kill_up_to_the_cap() -> None:
    resources = {"memory": "512Mi", "memoryCap": "1500Mi"}
    built = graph({"a": []}, module_fields={"a": {"resources": resources}})
    world = World(built, ending(a=OUT_OF_MEMORY)).run()
    assert [world.stage("a", n).steps[0].memory for n in (1, 2, 3)] == ["512Mi", "1024Mi", "1500Mi"]
    assert len(world.created) == 3
    assert (world.step("a").state, world.step("a").reason) == (StepState.FAILED, "OOMKilled")


def test_more_memory_is_given_at_once() -> None:
    built = graph({"a": []}, module_fields={"a": {"resources": {"memory": "1Gi", "memoryCap": "2Gi"}}})
    world = World(built, ending(a=[OUT_OF_MEMORY, Ok()]))
    world.decide()
    world.finish_step("a")
    world.decide()
    assert world.created == ["a/1", "a/2"]


def test_without_a_cap_an_oom_kill_is_final() -> None:
    world = World(graph({"a": []}), ending(a=OUT_OF_MEMORY)).run()
    assert world.created == ["a/1"]
    assert world.state is StarState.FAILED


def test_infrastructure_has_a_budget_of_its_own() -> None:
    world = World(graph({"a": []}), ending(a=NODE_LOST)).run()
    assert len(world.created) == 6
    assert world.step("a").retries == {"Infrastructure": 5}
    assert world.state is StarState.FAILED


def test_the_budgets_do_not_eat_each_other() -> None:
    plan = [NODE_LOST, TEMPORARY, NODE_LOST, TEMPORARY, NODE_LOST, TEMPORARY, Ok()]
    world = World(graph({"a": []}), ending(a=list(plan))).run()
    assert world.state is StarState.SUCCEEDED
    assert world.step("a").retries == {"Infrastructure": 3, "Temporary": 3}


def test_a_job_that_somebody_deleted_is_made_again() -> None:
    world = World(CHAIN)
    world.decide()
    world.lose("a")
    decision = world.decide()
    assert (world.step("a").state, world.step("a").reason) == (StepState.PENDING, "JobLost")
    assert decision.again_after == 2
    world.run()
    assert world.state is StarState.SUCCEEDED
    assert world.created[:2] == ["a/1", "a/2"]


def test_a_finished_steps_job_may_go() -> None:
    world = World(CHAIN)
    world.decide()
    world.finish_step("a")
    world.decide()
    world.decide()
    world.lose("a")
    world.run()
    assert world.created == ["a/1", "b/1", "c/1"]


# Crashes


def test_a_crash_between_creating_a_job_and_writing_the_status_changes_nothing() -> None:
    world = World(DIAMOND)
    world.decide(crash_after=1)
    assert world.created == ["a/1"]
    assert world.status.steps == []
    decision = world.decide()
    assert decision.actions == ()
    assert (world.step("a").state, world.step("a").attempt) == (StepState.RUNNING, 1)
    assert world.run().created == ["a/1", "b/1", "c/1", "d/1"]


def test_a_crash_between_two_creations_starts_only_the_other() -> None:
    world = World(DIAMOND)
    world.decide()
    world.finish_step("a")
    world.decide(crash_after=1)
    assert world.created == ["a/1", "b/1"]
    world.decide()
    assert world.created == ["a/1", "b/1", "c/1"]


def test_a_crash_before_a_job_is_let_go_lets_it_go_later() -> None:
    world = World(graph({"a": []}))
    world.decide()
    world.finish_step("a")
    world.decide()
    world.decide(crash_after=0)
    world.decide()
    assert all(job.released for job in world.jobs.values())


def test_an_outcome_that_came_while_nobody_looked_is_recorded() -> None:
    world = World(DIAMOND, ending(a=[TEMPORARY, Ok()]))
    world.decide(crash_after=1)
    world.finish_step("a")
    world.decide()
    assert world.step("a").retries == {"Temporary": 1}
    assert world.run().state is StarState.SUCCEEDED


def test_a_lost_status_is_rebuilt_from_the_jobs() -> None:
    world = World(CHAIN, ending(a=[TEMPORARY, Ok({})])).run()
    before = world.status
    world.status = type(before)()
    world.decide()
    after = world.status
    assert world.created == ["a/1", "a/2", "b/1", "c/1"]
    assert [(s.name, s.state, s.attempt, s.retries, s.digest) for s in after.steps] == [
        (s.name, s.state, s.attempt, s.retries, s.digest) for s in before.steps
    ]


def test_deciding_twice_says_the_same_and_does_nothing_more() -> None:
    world = World(DIAMOND)
    while not world.state.finished:
        first = world.decide()
        world.time += 100
        second = world.decide()
        third = world.decide()
        assert not [one for one in second.actions if isinstance(one, StartStage | StopJob)]
        assert second.status == first.status
        assert (third.status, third.actions) == (first.status, ())
        if active := world.active():
            world.finish(active[0])
    assert world.state is StarState.SUCCEEDED


# What the user wants


def test_a_suspended_star_finishes_what_runs_and_starts_nothing() -> None:
    world = World(CHAIN)
    world.decide()
    world.spec["desiredState"] = "Suspend"
    world.decide()
    assert world.state is StarState.RUNNING
    world.finish_step("a")
    world.decide()
    assert world.created == ["a/1"]
    assert (world.state, world.step("a").state) == (StarState.SUSPENDED, StepState.SUCCEEDED)
    assert world.condition("Complete")[1] == "Suspended"
    assert world.decide().needs_slot is False
    world.spec["desiredState"] = "Run"
    assert world.run().state is StarState.SUCCEEDED
    assert world.created == ["a/1", "b/1", "c/1"]


def test_cancel_stops_the_jobs_and_is_final() -> None:
    world = World(DIAMOND)
    world.decide()
    world.finish_step("a")
    world.decide()
    world.spec["desiredState"] = "Cancel"
    decision = world.decide()
    assert sum(isinstance(one, StopJob) for one in decision.actions) == 2
    assert world.active() == []
    assert world.states() == {"a": "Succeeded", "b": "Cancelled", "c": "Cancelled", "d": "Cancelled"}
    assert world.state is StarState.CANCELLED
    assert world.decide().actions == ()
    world.spec["desiredState"] = "Run"
    world.decide()
    assert world.state is StarState.CANCELLED


def test_cancel_after_a_crash_still_stops_the_jobs() -> None:
    world = World(DIAMOND)
    world.decide()
    world.finish_step("a")
    world.decide()
    world.spec["desiredState"] = "Cancel"
    stop = next(i for i, one in enumerate(world.decide(crash_after=0).actions) if isinstance(one, StopJob))
    world.decide(crash_after=stop + 1)
    assert len(world.active()) == 1
    world.decide()
    assert world.active() == []
    assert world.state is StarState.CANCELLED


def test_a_finished_star_cannot_be_cancelled_any_more() -> None:
    world = World(CHAIN).run()
    world.spec["desiredState"] = "Cancel"
    world.decide()
    assert world.state is StarState.SUCCEEDED


# Slots


def test_a_star_without_a_slot_waits_and_says_so() -> None:
    world = World(CHAIN)
    world.admitted = False
    decision = world.decide()
    assert decision.needs_slot is True
    assert world.created == []
    assert world.state is StarState.PENDING
    assert world.condition("Complete")[:2] == ("False", "WaitingForSlot")
    world.admitted = True
    assert world.run().state is StarState.SUCCEEDED


def test_a_star_with_nothing_to_start_needs_no_slot() -> None:
    world = World(CHAIN)
    world.decide()
    assert world.decide().needs_slot is False


# Specs that do not fit


def test_a_star_that_does_not_fit_is_rejected_and_starts_nothing() -> None:
    world = World(CHAIN, parameters={"nope": {"x": 1}})
    decision = world.decide()
    assert decision.actions == ()
    assert world.state is StarState.REJECTED
    assert world.condition("Accepted") == (
        "False", "SpecInvalid", "spec.parameters.nope: pipeline 'sas-test' has no step 'nope'"
    )  # fmt: skip
    world.spec["parameters"] = {}
    assert world.run().state is StarState.SUCCEEDED


def test_a_spec_made_invalid_in_flight_starts_nothing_more() -> None:
    world = World(CHAIN)
    world.decide()
    world.spec["inputs"] = {"DP9": {}}
    world.decide()
    world.finish_step("a")
    world.decide()
    assert world.created == ["a/1"]
    assert world.step("a").state is StepState.SUCCEEDED
    assert world.condition("Accepted")[0] == "False"
    assert "spec.inputs.DP9" in world.condition("Accepted")[2]
    world.spec["inputs"] = {}
    assert world.run().created == ["a/1", "b/1", "c/1"]
    assert world.condition("Accepted") == ("True", "Accepted", "")


def test_a_transition_time_moves_with_its_status_only() -> None:
    world = World(CHAIN)
    world.decide()
    accepted, complete = world.status.conditions
    world.run()
    assert world.status.conditions[0].last_transition_time == accepted.last_transition_time
    assert world.status.conditions[1].last_transition_time > complete.last_transition_time


def without_pod(seconds_old: int) -> tuple[str | None, float | None]:
    """The reason told of a step whose Job has made no pod for so long, and when to look again."""
    world = World(graph({"a": []}))
    world.decide()
    observed = world.observe()
    started = (datetime.fromisoformat(observed.now) - timedelta(seconds=seconds_old)).isoformat()
    (job,) = [replace(one, has_pod=False, started_at=started) for one in observed.attempts]
    decision = decide(replace(observed, attempts=(job,)))
    return decision.status.steps[0].reason, decision.again_after


def test_a_job_that_is_not_allowed_its_pod_is_told_after_a_while() -> None:
    reason, again = without_pod(5)
    assert reason is None
    assert again is not None, "no event may ever come"
    assert without_pod(60)[0] == "PodNotCreated"
