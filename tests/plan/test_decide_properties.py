"""What holds for every graph, every run of luck and every crash; `World` checks each start as it happens."""

from dataclasses import dataclass, field
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plato_sas.api import StarProcessingStatus, StarState, StepState
from plato_sas.plan.decide import StartStage, decide
from plato_sas.plan.graph import Graph
from sas_samples import graph, output_of
from sas_simulator import NODE_LOST, OUT_OF_MEMORY, TEMPORARY, Bad, Ok, Outcome, World

QUICK = settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.too_slow])
# 6 infrastructure retries + 3 temporary + 2 of memory + the first, over at most 6 steps; each takes a few rounds.
ROUNDS = 6 * 12 * 4


@dataclass
class Case:
    """A random graph with a random, but fixed, ending for every attempt."""

    graph: Graph
    endings: dict[str, list[Outcome]] = field(default_factory=dict)

    def outcome(self, step: str, attempt: int) -> Outcome:
        planned = self.endings[step]
        return planned[(attempt - 1) % len(planned)]

    def world(self) -> World:
        return World(self.graph, self.outcome)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    names = [f"s{index}" for index in range(draw(st.integers(1, 6)))]
    edges = {
        name: sorted(draw(st.sets(st.sampled_from(names[:index]), max_size=3))) if index else []
        for index, name in enumerate(names)
    }
    pairs = [(name, upstream) for name, all_upstream in edges.items() for upstream in all_upstream]
    optional = [pair for pair in pairs if draw(st.booleans())]
    when = {
        name: draw(st.sampled_from(["facts['{0}'].flag", "!facts['{0}'].flag", "true || facts['{0}'].flag"])).format(
            draw(st.sampled_from(names[:index]))
        )
        for index, name in enumerate(names)
        if index and draw(st.integers(0, 2)) == 0
    }
    built = graph(
        dict(draw(st.permutations(list(edges.items())))),
        optional=optional,
        when=when,
        facts={name: {"flag": "boolean"} for name in names},
        module_fields={name: {"resources": {"memory": "1Gi", "memoryCap": "3Gi"}} for name in names},
    )
    endings: dict[str, list[Outcome]] = {}
    for name in names:
        good = Ok(
            {"flag": draw(st.booleans())} if draw(st.booleans()) else {},
            (output_of(name),) if draw(st.integers(0, 4)) == 0 else (),
        )
        endings[name] = draw(
            st.lists(st.sampled_from([good, good, TEMPORARY, OUT_OF_MEMORY, NODE_LOST, Bad()]), min_size=1, max_size=4)
        )
    return Case(built, endings)


def advance(world: World, data: st.DataObject, again_after: float | None) -> None:
    """Something happens: an attempt ends, or time passes."""
    active = world.active()
    if active and data.draw(st.booleans(), label="an attempt ends"):
        world.finish(data.draw(st.sampled_from(active), label="which"))
    elif again_after is not None:
        world.time += again_after
    elif active:
        world.finish(active[0])


def told(status: StarProcessingStatus) -> list[tuple[Any, ...]]:
    return [(one.name, one.state, one.attempt, one.reason, one.retries) for one in status.steps]


@QUICK
@given(cases(), st.data())
def test_every_run_ends_with_every_step_final(case: Case, data: st.DataObject) -> None:
    world = case.world()
    for _ in range(ROUNDS):
        decision = world.decide()
        if world.state.finished:
            break
        assert world.active() or decision.again_after is not None, "nothing will ever happen again"
        advance(world, data, decision.again_after)
    assert world.state in (StarState.SUCCEEDED, StarState.FAILED)
    assert len(world.status.steps) == len(case.graph.steps)
    assert all(step.state.final for step in world.status.steps)
    assert (world.state is StarState.FAILED) == any(s.state is StepState.FAILED for s in world.status.steps)
    assert world.active() == []


@QUICK
@given(cases(), st.data())
def test_the_order_in_which_attempts_end_does_not_change_the_result(case: Case, data: st.DataObject) -> None:
    first = case.world().run(ROUNDS)
    second = case.world()
    for _ in range(ROUNDS):
        decision = second.decide()
        if second.state.finished:
            break
        advance(second, data, decision.again_after)
    key = {step.name: (step.state, step.attempt) for step in first.status.steps}
    assert {step.name: (step.state, step.attempt) for step in second.status.steps} == key
    assert second.status.facts == first.status.facts


@QUICK
@given(cases(), st.data())
def test_a_crash_at_any_point_starts_nothing_twice_and_loses_nothing(case: Case, data: st.DataObject) -> None:
    """A crash after any number of actions, the status of any earlier time, or none at all: the result is the same."""
    calm = case.world().run(ROUNDS)
    world = case.world()
    history = [world.status]
    troubles = 12
    for _ in range(ROUNDS + troubles):
        trouble = data.draw(st.sampled_from(["none", "crash", "stale", "lost"])) if troubles else "none"
        troubles -= trouble != "none"
        match trouble:
            case "crash":
                decision = world.decide(crash_after=data.draw(st.integers(0, 3)))
            case "stale":
                decision = world.decide(seen=data.draw(st.sampled_from(history)))
            case "lost":
                decision = world.decide(seen=StarProcessingStatus())
            case _:
                decision = world.decide()
        history.append(world.status)
        if world.state.finished and trouble == "none":
            break
        advance(world, data, decision.again_after)
    assert world.state is calm.state
    assert {s.name: (s.state, s.attempt) for s in world.status.steps} == {
        s.name: (s.state, s.attempt) for s in calm.status.steps
    }
    assert sorted(world.created) == sorted(calm.created)


@QUICK
@given(cases(), st.data())
def test_deciding_again_changes_nothing(case: Case, data: st.DataObject) -> None:
    world = case.world()
    for _ in range(ROUNDS):
        world.decide()
        settled = world.decide()
        again = world.decide()
        assert told(again.status) == told(settled.status)
        assert again.status == world.status
        assert again.actions == ()
        if world.state.finished:
            break
        advance(world, data, again.again_after)


@QUICK
@given(cases(), st.data())
def test_suspended_or_cancelled_at_any_time_nothing_new_starts(case: Case, data: st.DataObject) -> None:
    world = case.world()
    for _ in range(data.draw(st.integers(0, 10))):
        decision = world.decide()
        advance(world, data, decision.again_after)
    wish = data.draw(st.sampled_from(["Suspend", "Cancel"]))
    world.spec["desiredState"] = wish
    created = list(world.created)
    for _ in range(ROUNDS):
        decision = world.decide()
        assert not [one for one in decision.actions if isinstance(one, StartStage)]
        if not world.active():
            break
        world.finish(world.active()[0])
    world.decide()
    assert world.created == created
    assert world.state.finished or world.state is StarState.SUSPENDED
    if wish == "Suspend":
        world.spec["desiredState"] = "Run"
        assert world.run(ROUNDS).state in (StarState.SUCCEEDED, StarState.FAILED)


@QUICK
@given(cases(), st.data())
def test_a_decision_depends_on_nothing_but_what_is_observed(case: Case, data: st.DataObject) -> None:
    world = case.world()
    for _ in range(data.draw(st.integers(0, 8))):
        decision = world.decide()
        advance(world, data, decision.again_after)
    observed = world.observe()
    assert decide(observed) == decide(observed)
