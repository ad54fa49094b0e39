"""What is done about one star, scenario by scenario: the ordinary course, branches, failures."""

from functools import partial

import pytest

from plato_sas.api import StarState, StepState
from plato_sas.plan.star.decide import ReleaseJob, StartRun
from tests.support.samples import LIGHT_CURVE, graph, output_of
from tests.support.simulator import OUT_OF_MEMORY, TEMPORARY, Bad, Ok, World, ending

DIAMOND = graph({"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]})
CHAIN = graph({"a": [], "b": ["a"], "c": ["b"]})
# A Job for every step, so that what is said of a step can be seen apart from its neighbours.
per_step = partial(World, stages="PerStep")


# The ordinary course


def test_a_diamond_runs_its_branches_side_by_side() -> None:
    world = per_step(DIAMOND)
    world.decide()
    assert world.created == ["a/1"]
    assert (world.state, world.status.progress, world.status.step) == (StarState.RUNNING, "0/4", "a")
    world.finish("a")
    world.decide()
    assert world.created == ["a/1", "b/1", "c/1"]
    assert world.status.step == "b,c"
    world.finish("c")
    world.decide()
    assert world.created == ["a/1", "b/1", "c/1"], "d waits for both"
    world.finish("b")
    world.decide()
    world.finish("d")
    world.decide()
    assert world.created == ["a/1", "b/1", "c/1", "d/1"]
    assert set(world.states().values()) == {"Succeeded"}
    assert (world.state, world.status.progress, world.status.step) == (StarState.SUCCEEDED, "4/4", None)
    assert world.condition("Complete") == ("True", "AllStepsFinished", "")
    assert world.condition("Accepted") == ("True", "Accepted", "")
    assert world.status.finished_at == world.now


def test_a_stage_says_where_every_input_comes_from() -> None:
    world = per_step(DIAMOND, inputs={LIGHT_CURVE: {"sha256": "e" * 64}}).run()
    (light_curve,) = world.stage("a").description.steps[0].inputs
    assert (light_curve.volume, light_curve.path) == ("inputs", "q1/KIC6603624/lc.h5")
    assert light_curve.sha256 == "e" * 64
    from_b, from_c = world.stage("d").description.steps[0].inputs
    assert (from_b.volume, from_b.path) == ("products", f"q1/KIC6603624/b/{output_of('b')}.h5")
    assert (from_c.producer, from_c.output) == ("q1/KIC6603624/c", output_of("c"))


def test_facts_and_digests_reach_the_status() -> None:
    flagged = graph({"a": []}, facts={"a": {"flag": "boolean"}})
    world = per_step(flagged, ending(a=Ok({"flag": False}))).run()
    assert world.status.facts == {"a": {"flag": False}}
    assert world.step("a").digest == world.volume.products["a"].report.digest
    assert world.status.inputs == {LIGHT_CURVE: "1" * 64}
    assert (world.step("a").exit_code, world.step("a").attempt) == (0, 1)


def test_a_finished_job_is_released_only_after_its_outcome_is_in_the_status() -> None:
    world = per_step(graph({"a": []}))
    world.decide()
    world.finish("a")
    assert world.decide().actions == ()
    assert world.step("a").state is StepState.SUCCEEDED
    (action,) = world.decide().actions
    assert isinstance(action, ReleaseJob)
    assert action.attempt.job == world.job_of("a").name


def test_the_seed_is_the_same_on_every_attempt_and_differs_between_steps() -> None:
    world = per_step(CHAIN, ending(a=[TEMPORARY, Ok()])).run()
    first, second = (world.stage("a", n).description.steps[0].seed for n in (1, 2))
    assert first == second
    assert first != world.stage("b").description.steps[0].seed


# Branches

BRANCH = {"facts": {"a": {"flag": "boolean"}}, "when": {"b": "facts['a'].flag"}}


def test_a_step_whose_condition_is_false_is_skipped_with_what_needs_it() -> None:
    built = graph({"a": [], "b": ["a"], "c": ["b"], "d": ["c"]}, **BRANCH)
    world = per_step(built, ending(a=Ok({"flag": False}))).run()
    assert world.states() == {"a": "Succeeded", "b": "Skipped", "c": "Skipped", "d": "Skipped"}
    assert (world.step("b").reason, world.step("b").message) == ("ConditionFalse", "when: facts['a'].flag")
    assert world.step("c").reason == "InputAbsent"
    assert world.step("c").message == f"input {output_of('b')}: step b made none"
    assert world.state is StarState.SUCCEEDED, "a skipped step is no failure"
    assert world.created == ["a/1"]


def test_a_true_condition_runs_the_step() -> None:
    world = per_step(graph({"a": [], "b": ["a"]}, **BRANCH), ending(a=Ok({"flag": True}))).run()
    assert world.states() == {"a": "Succeeded", "b": "Succeeded"}


def test_a_fact_that_was_not_reported_skips_the_step_and_says_so() -> None:
    world = per_step(graph({"a": [], "b": ["a"]}, **BRANCH), ending(a=Ok())).run()
    assert world.step("b").reason == "FactAbsent"
    assert world.step("b").message == "when: facts['a'].flag: not reported: facts['a'].flag"
    assert world.state is StarState.SUCCEEDED


@pytest.mark.parametrize(
    ("when", "fact", "told"),
    [
        ("1 / facts['a'].n == 1", 0, "divide by zero"),
        ("facts['a'].text.matches(facts['a'].text)", "(", "invalid regular expression: missing ): ("),
    ],
)
@pytest.mark.parametrize("stages", ["PerStep", "Fused"])
def test_a_condition_without_a_value_fails_its_step_and_nothing_else(
    stages: str, when: str, fact: int | str, told: str
) -> None:
    declared = {"a": {"n": "integer", "text": "string"}}
    built = graph({"a": [], "b": ["a"], "c": ["b"], "d": ["a"]}, facts=declared, when={"b": when})
    facts = {"n": fact} if isinstance(fact, int) else {"text": fact}
    world = World(built, ending(a=Ok(facts)), stages=stages).run()
    assert world.states() == {"a": "Succeeded", "b": "Failed", "c": "Skipped", "d": "Succeeded"}
    assert (world.step("b").reason, world.step("c").reason) == ("WhenFailed", "UpstreamFailed")
    assert (world.step("b").message or "").startswith(f"when: {when}: {told}")
    assert world.state is StarState.FAILED


def test_a_step_runs_without_an_optional_input_of_a_skipped_step() -> None:
    built = graph({"a": [], "b": ["a"], "c": ["a", "b"]}, optional=[("c", "b")], **BRANCH)
    world = per_step(built, ending(a=Ok({"flag": False}))).run()
    assert world.states() == {"a": "Succeeded", "b": "Skipped", "c": "Succeeded"}
    assert [one.name for one in world.stage("c").description.steps[0].inputs] == [output_of("a")]


@pytest.mark.parametrize(("loose", "state"), [(True, "Succeeded"), (False, "Skipped")])
def test_an_optional_output_that_was_not_written_is_an_absent_input(loose: bool, state: str) -> None:
    built = graph(
        {"a": [], "b": ["a"]},
        optional=[("b", "a")] if loose else [],
        module_fields={"a": {"outputs": [{"name": output_of("a"), "optional": True}]}},
    )
    world = per_step(built, ending(a=Ok(missing=(output_of("a"),)))).run()
    assert world.states()["b"] == state
    assert world.step("a").missing == [output_of("a")]


def test_a_long_condition_still_gives_a_status_that_the_api_server_takes() -> None:
    expression = " || ".join(["facts['a'].flag"] * 53)
    assert 1000 < len(expression) <= 1024
    built = graph({"a": [], "b": ["a"]}, facts={"a": {"flag": "boolean"}}, when={"b": expression})
    world = per_step(built).run()
    assert world.step("b").reason == "FactAbsent"


# Failures


def test_a_failed_module_stops_what_hangs_on_it_and_nothing_else() -> None:
    built = graph({"a": [], "b": ["a"], "c": ["b"], "x": [], "y": ["x"]})
    world = per_step(built, ending(a=Bad(3, "DP1_LC_MERGED: no TIME column"))).run()
    assert world.states() == {
        "a": "Failed", "b": "Skipped", "c": "Skipped", "x": "Succeeded", "y": "Succeeded"
    }  # fmt: skip
    assert world.step("a").exit_code == 3
    assert world.step("a").message == "DP1_LC_MERGED: no TIME column"
    assert (world.step("b").reason, world.step("c").reason) == ("UpstreamFailed", "UpstreamFailed")
    assert world.step("b").message == "step a did not succeed"
    assert (world.state, world.status.step, world.status.progress) == (StarState.FAILED, "a", "2/5")
    status, reason, message = world.condition("Complete")
    assert (status, reason) == ("False", "StepFailed")
    assert "a: ModuleFailed: DP1_LC_MERGED: no TIME column" in message
    assert world.created.count("a/2") == 0


def test_an_optional_input_of_a_failed_step_is_not_simply_left_out() -> None:
    built = graph({"a": [], "b": ["a"]}, optional=[("b", "a")])
    world = per_step(built, ending(a=Bad())).run()
    assert world.step("b").reason == "UpstreamFailed"


def test_a_condition_on_a_failed_step_is_not_decided() -> None:
    built = graph({"a": [], "b": []}, facts={"a": {"ok": "boolean"}}, when={"b": "true || facts['a'].ok"})
    world = per_step(built, ending(a=Bad())).run()
    assert world.step("b").reason == "UpstreamFailed"


def test_only_the_end_of_a_long_log_is_kept() -> None:
    world = per_step(graph({"a": []}), ending(a=Bad(message="x" * 5000 + "the last line"))).run()
    kept = world.step("a").message
    assert kept is not None
    assert len(kept) == 1024
    assert kept.endswith("the last line")


def test_a_temporary_failure_is_tried_again_after_a_pause_that_doubles() -> None:
    world = per_step(graph({"a": []}), ending(a=[TEMPORARY, TEMPORARY, Ok()]))
    pauses = []
    world.decide()
    for attempt in (1, 2):
        world.finish("a")
        decision = world.decide()
        assert world.created[-1] == f"a/{attempt}"
        assert world.step("a").state is StepState.PENDING
        assert world.step("a").reason == "TemporaryFailure"
        assert world.state is StarState.RUNNING
        assert decision.again_after is not None
        pauses.append(decision.again_after)
        world.time += decision.again_after - 1
        early = world.decide()
        assert not [one for one in early.actions if isinstance(one, StartRun)]
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
    world = per_step(built, ending(a=TEMPORARY)).run()
    assert world.state is StarState.FAILED
    assert len(world.created) == allowed + 1
    assert (world.step("a").reason, world.step("a").exit_code) == ("TemporaryFailure", 75)


def test_memory_grows_after_each_kill_up_to_the_cap() -> None:
    resources = {"memory": "512Mi", "memoryCap": "1500Mi"}
    built = graph({"a": []}, module_fields={"a": {"resources": resources}})
    world = per_step(built, ending(a=OUT_OF_MEMORY)).run()
    assert [world.stage("a", n).steps[0].memory for n in (1, 2, 3)] == ["512Mi", "1024Mi", "1500Mi"]
    assert len(world.created) == 3
    assert (world.step("a").state, world.step("a").reason) == (StepState.FAILED, "OOMKilled")


def test_more_memory_is_given_at_once() -> None:
    built = graph({"a": []}, module_fields={"a": {"resources": {"memory": "1Gi", "memoryCap": "2Gi"}}})
    world = per_step(built, ending(a=[OUT_OF_MEMORY, Ok()]))
    world.decide()
    world.finish("a")
    world.decide()
    assert world.created == ["a/1", "a/2"]


def test_without_a_cap_an_oom_kill_is_final() -> None:
    world = per_step(graph({"a": []}), ending(a=OUT_OF_MEMORY)).run()
    assert world.created == ["a/1"]
    assert world.state is StarState.FAILED


def evicted(world: World, step: str, times: int) -> World:
    """So often the pod that runs the step is put out."""
    for _ in range(times):
        while step not in world.active_steps():
            world.time += world.decide().again_after or 0
        world.begin_step(step)
        world.job_of(step).kill("Evicted")
    return world


def test_infrastructure_has_a_budget_of_its_own() -> None:
    world = evicted(per_step(graph({"a": []})), "a", 6).run()
    assert len(world.created) == 6
    assert world.step("a").retries == {"Infrastructure": 5}
    assert (world.state, world.step("a").reason) == (StarState.FAILED, "Evicted")


def test_the_budgets_do_not_eat_each_other() -> None:
    world = per_step(graph({"a": []}), ending(a=[TEMPORARY, TEMPORARY, TEMPORARY, Ok()]))
    evicted(world, "a", 3).run()
    assert world.state is StarState.SUCCEEDED
    assert world.step("a").retries == {"Infrastructure": 3, "Temporary": 3}


def test_a_job_that_somebody_deleted_is_made_again() -> None:
    world = per_step(CHAIN)
    world.decide()
    world.lose("a")
    decision = world.decide()
    assert (world.step("a").state, world.step("a").reason) == (StepState.PENDING, "JobLost")
    assert decision.again_after == 2
    world.run()
    assert world.state is StarState.SUCCEEDED
    assert world.created[:2] == ["a/1", "a/2"]


def test_a_finished_steps_job_may_go() -> None:
    world = per_step(CHAIN)
    world.decide()
    world.finish("a")
    world.decide()
    world.decide()
    world.lose("a")
    world.run()
    assert world.created == ["a/1", "b/1", "c/1"]
