"""What holds for every graph, every run of luck, every order of events and every crash.

`World` and its volume check each start and each publication as it happens; how a star must end is computed apart from
the operator's code, in `tests.support.reference`.
"""

from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from plato_sas.api import StarProcessingStatus, StarState, StepState
from plato_sas.jobs import names
from plato_sas.plan.graph.graph import Graph, build_graph
from plato_sas.plan.star.decide import StartRun, decide
from tests.support.reference import MADE, Behaviour, Condition, Plan, Wire, true_ends
from tests.support.samples import LIGHT_CURVE, module, pipeline
from tests.support.simulator import OUT_OF_MEMORY, TEMPORARY, Bad, Hangs, Ok, Outcome, SimulatedJob, World

QUICK = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
    phases=[Phase.explicit, Phase.reuse, Phase.generate, Phase.shrink],
)
MODES = pytest.mark.parametrize("mode", ["Fused", "PerStep"])
STEPS = 7
MEMORY, CAP, TEMPORARY_BUDGET = 1024, 4096, 2
# A step has at most 1 + 2 temporary + 2 of memory + 5 infrastructure attempts and as many salvages, each with its
# ticks; troubles are bounded beside that.
ROUNDS = STEPS * 10 * 2 * 8
TROUBLES = 4  # fewer than a step's budget of infrastructure retries


@dataclass(frozen=True)
class Case:
    """A random graph whose modules behave in a random, but fixed, way."""

    plans: dict[str, Plan]
    graph: Graph
    limit: int
    room: int

    @property
    def ends(self) -> dict[str, str]:
        return true_ends(self.plans, CAP, TEMPORARY_BUDGET)

    def outcome(self, step: str, run: int, memory: int) -> Outcome:
        behaviour = self.plans[step].behaviour
        if behaviour.memory > memory:
            return OUT_OF_MEMORY
        if run <= behaviour.temporary:
            return TEMPORARY
        match behaviour.verdict:
            case "fails":
                return Bad()
            case "hangs":
                return Hangs()
            case verdict:
                facts = {} if behaviour.flag is None else {"flag": behaviour.flag}
                return Ok(facts, () if behaviour.loose_output else (extra(step),), verdict != "writes nothing")

    def world(self, mode: str, **spec: Any) -> World:
        world = World(self.graph, self.outcome, stages=mode, **spec)
        world.limit = self.limit
        world.volume.room = self.room
        world.volume.absent = frozenset(name for name, plan in self.plans.items() if plan.absent)
        return world


def out(step: str) -> str:
    return f"OUT_{step.upper()}"


def extra(step: str) -> str:
    return f"EXTRA_{step.upper()}"


behaviours = st.builds(
    Behaviour,
    verdict=st.sampled_from(["ends well"] * 7 + ["fails", "writes nothing", "hangs"]),
    flag=st.sampled_from([True, True, False, None]),
    loose_output=st.booleans(),
    memory=st.sampled_from([512] * 6 + [2048, 4096, 8192]),
    # Runs that a crash has made vain count as well: either all of them fit into the budget, or none ever would.
    temporary=st.sampled_from([0] * 6 + [1, 2, 10**6]),
)


@st.composite
def cases(draw: st.DrawFn) -> Case:
    plans: dict[str, Plan] = {}
    for index in range(draw(st.integers(1, STEPS))):
        known = list(plans)
        upstream = draw(st.sets(st.sampled_from(known), max_size=3)) if known else set()
        wires = tuple(Wire(one, draw(st.integers(0, 3)) == 0, draw(st.booleans())) for one in sorted(upstream))
        condition = None
        if known and draw(st.integers(0, 2)) == 0:
            form = draw(st.sampled_from(["{}", "!{}", "true || {}"]))
            condition = Condition(draw(st.sampled_from(known)), form)
        plans[f"s{index}"] = Plan(wires, condition, draw(behaviours), draw(st.integers(0, 9)) == 0)
    heavy = {name for name in plans if draw(st.integers(0, 5)) == 0}
    graph = built(plans, heavy, draw(st.permutations(list(plans))))
    return Case(plans, graph, draw(st.integers(1, 5)), draw(st.integers(1, 3)))


def built(plans: dict[str, Plan], heavy: set[str], order: list[str]) -> Graph:
    modules, steps = {}, {}
    for name, plan in plans.items():
        inputs: list[dict[str, Any]] = [{"name": LIGHT_CURVE, "external": LIGHT_CURVE}]
        declared: list[dict[str, Any]] = [{"name": LIGHT_CURVE}]
        for wire in plan.wires:
            product = extra(wire.step) if wire.extra else out(wire.step)
            inputs.append({"name": product, "step": wire.step})
            declared.append({"name": product, "optional": wire.optional})
        modules[name] = module(
            inputs=declared,
            outputs=[{"name": out(name)}, {"name": extra(name), "optional": True}],
            facts=[{"name": "flag", "type": "boolean"}],
            resources={"memory": f"{MEMORY}Mi", "memoryCap": f"{CAP}Mi", "cpu": "8" if name in heavy else "500m"},
            retry={"temporary": TEMPORARY_BUDGET},
            timeout="1h",
        )
        steps[name] = {"name": name, "module": name, "inputs": inputs}
        if plan.condition is not None:
            steps[name]["when"] = plan.condition.form.format(f"facts['{plan.condition.step}'].flag")
    return build_graph("sas-test", pipeline([steps[name] for name in order]), modules)


def advance(world: World, data: st.DataObject, again_after: float | None) -> None:
    """Something happens: a container begins or ends; time passes where nothing else can."""
    if able := [job for job in world.active() if not job.stuck]:
        data.draw(st.sampled_from(able), label="job").tick()
    elif again_after is not None:
        world.time += again_after


def ends(world: World) -> dict[str, str]:
    """As the reference says it."""
    assert [step.name for step in world.status.steps] == [step.name for step in world.graph.steps]
    return {one.name: MADE if one.state.published else one.reason or "?" for one in world.status.steps}


def check_end(world: World, case: Case) -> None:
    assert ends(world) == case.ends
    assert all(step.state.final for step in world.status.steps)
    assert world.active() == []
    failed = any(step.state is StepState.FAILED for step in world.status.steps)
    assert world.state is (StarState.FAILED if failed else StarState.SUCCEEDED)
    for step in world.status.steps:
        if step.state.published:
            assert step.digest == world.volume.products[step.name].report.digest
            assert world.status.facts.get(step.name, {}) == world.volume.products[step.name].report.facts
        else:
            assert step.name not in world.status.facts
    assert len(world.status.model_dump_json(by_alias=True, exclude_none=True)) < 16 * 1024


def to_the_end(world: World, data: st.DataObject) -> None:
    for _ in range(ROUNDS):
        decision = world.decide()
        if world.state.at_rest and not world.active():
            return
        # The operator looks again after an action and while a Job exists, not after a status that it wrote itself.
        told = decision.actions or world.jobs
        assert told or decision.again_after is not None, "nothing will ever happen again"
        advance(world, data, decision.again_after)
    raise AssertionError(f"not finished after {ROUNDS} rounds: {world.status.to_dict()}")


@MODES
@QUICK
@given(cases(), st.data())
def test_every_star_ends_in_its_true_state(mode: str, case: Case, data: st.DataObject) -> None:
    world = case.world(mode)
    to_the_end(world, data)
    check_end(world, case)


def trouble(world: World, data: st.DataObject, history: list[StarProcessingStatus]) -> None:
    """The operator dies or remembers wrongly; a pod is killed; a Job is deleted, be it active or not."""
    jobs: list[SimulatedJob] = list(world.jobs.values())
    active = world.active()
    kind = data.draw(st.sampled_from(["crash", "stale", "evict", "lose pod", "delete", "half published"]), label="kind")
    match kind:
        case "crash":
            world.decide(crash_after=data.draw(st.integers(0, 4), label="actions"))
        case "stale":
            world.forgetful = True
            world.decide(seen=data.draw(st.sampled_from([StarProcessingStatus(), *history]), label="status"))
        case "evict" | "lose pod" if active:
            job = data.draw(st.sampled_from(active), label="job")
            job.kill("Evicted" if kind == "evict" else "PodLost")
        case "delete" if jobs:
            del world.jobs[data.draw(st.sampled_from(jobs), label="job").name]
        case "half published":
            publishing = [job for job in active if job.running == names.PUBLISH]
            if publishing:
                alive = iter([True] * data.draw(st.integers(0, 3), label="published") + [False] * STEPS * 2)
                data.draw(st.sampled_from(publishing), label="job").publish(lambda: next(alive))


@MODES
@QUICK
@given(cases(), st.data())
def test_no_trouble_changes_how_a_star_ends(mode: str, case: Case, data: st.DataObject) -> None:
    """Nothing is published twice, either: the volume checks that."""
    world = case.world(mode)
    history: list[StarProcessingStatus] = []
    troubles = 0
    for _ in range(ROUNDS):
        if troubles < TROUBLES and data.draw(st.integers(0, 4), label="trouble") == 0:
            troubles += 1
            trouble(world, data, history)
        decision = world.decide()
        history.append(world.status)
        if world.state.at_rest and not world.active():
            break
        advance(world, data, decision.again_after)
    check_end(world, case)


@MODES
@QUICK
@given(cases(), st.data())
def test_finished_jobs_may_be_deleted_as_soon_as_they_are_released(mode: str, case: Case, data: st.DataObject) -> None:
    world = case.world(mode)
    for _ in range(ROUNDS):
        decision = world.decide()
        world.jobs = {name: job for name, job in world.jobs.items() if not job.released}
        if world.state.at_rest and not world.active():
            break
        advance(world, data, decision.again_after)
    check_end(world, case)


@QUICK
@given(cases())
def test_both_modes_publish_the_same(case: Case) -> None:
    fused, apart = case.world("Fused").run(ROUNDS), case.world("PerStep").run(ROUNDS)
    assert ends(fused) == ends(apart)
    assert {one.name: one.digest for one in fused.status.steps} == {one.name: one.digest for one in apart.status.steps}
    assert fused.status.facts == apart.status.facts


@MODES
@QUICK
@given(cases(), st.data())
def test_deciding_again_changes_nothing(mode: str, case: Case, data: st.DataObject) -> None:
    world = case.world(mode)
    for _ in range(ROUNDS):
        for _ in range(3):  # the first sees what has happened, the second releases what the first has reported
            world.decide()
            world.jobs = {name: job for name, job in world.jobs.items() if not job.released}
        told = world.status
        again = world.decide()
        assert (again.status, again.actions) == (told, ())
        if world.state.at_rest:
            return
        advance(world, data, again.again_after)
    raise AssertionError("not finished")


@MODES
@QUICK
@given(cases(), st.data(), st.sampled_from(["Suspend", "Cancel", "deadline"]))
def test_stopped_at_any_time_nothing_new_starts(mode: str, case: Case, data: st.DataObject, wish: str) -> None:
    world = case.world(mode)
    for _ in range(data.draw(st.integers(0, 25), label="rounds before")):
        advance(world, data, world.decide().again_after)
    before = world.state
    world.spec |= {"deadline": "1s"} if wish == "deadline" else {"desiredState": wish}
    world.time += 2
    decided_late = wish == "deadline" and world.status.started_at is None
    for _ in range(ROUNDS):
        decision = world.decide()
        assert decided_late or not [one for one in decision.actions if isinstance(one, StartRun)]
        if not world.active() and not decision.actions:
            break
        advance(world, data, decision.again_after or 1)
        world.jobs = {name: job for name, job in world.jobs.items() if not job.released}
    assert world.active() == []
    if wish == "Suspend":
        assert world.state.at_rest or world.state is StarState.SUSPENDED
        assert not decision.busy
        world.spec["desiredState"] = "Run"
        to_the_end(world, data)
        check_end(world, case)
    elif not before.at_rest and not decided_late:
        assert world.state.at_rest
        assert all(step.state.final for step in world.status.steps)


@MODES
@QUICK
@given(cases(), st.data())
def test_a_rerun_at_any_time_ends_truly_and_runs_what_it_names(mode: str, case: Case, data: st.DataObject) -> None:
    world = case.world(mode)
    for _ in range(data.draw(st.one_of(st.integers(0, 40), st.just(ROUNDS)), label="rounds before")):
        decision = world.decide()
        if world.state.at_rest:
            break
        advance(world, data, decision.again_after)
    chosen = sorted(data.draw(st.sets(st.sampled_from(sorted(case.plans)), min_size=1, max_size=2), label="from"))
    wish: dict[str, Any] = data.draw(st.sampled_from([{}, {"failed": True}, {"from": chosen}]), label="wish")
    world.spec["rerun"] = {"id": 1, **wish}
    before = len(world.volume.published)
    if data.draw(st.booleans(), label="crash"):
        world.decide(crash_after=data.draw(st.integers(0, 4), label="actions"))
    to_the_end(world, data)
    check_end(world, case)
    assert world.status.rerun == 1
    again = {one.step for one in world.volume.published[before:] if one.forced == 1}
    assert again == {step for step in wish.get("from", []) if case.ends[step] == MADE}


@MODES
@QUICK
@given(cases(), st.data())
def test_a_later_campaign_reuses_what_has_not_changed(mode: str, case: Case, data: st.DataObject) -> None:
    first = case.world(mode).run(ROUNDS)
    later = case.world(data.draw(st.sampled_from(["Fused", "PerStep"]), label="mode"))
    later.volume.library = {product.key: product for product in first.volume.products.values()}
    to_the_end(later, data)
    check_end(later, case)
    assert later.volume.published == []
    assert {one.state for one in later.status.steps if one.state.published} <= {StepState.REUSED}


@QUICK
@given(cases(), st.data())
def test_a_decision_depends_on_nothing_but_what_is_observed(case: Case, data: st.DataObject) -> None:
    world = case.world("Fused")
    for _ in range(data.draw(st.integers(0, 20))):
        advance(world, data, world.decide().again_after)
    observed = world.observe()
    first, second = decide(observed), decide(replace(observed, attempts=tuple(reversed(observed.attempts))))
    assert (first.status, first.again_after) == (second.status, second.again_after)
    assert sorted(map(repr, first.actions)) == sorted(map(repr, second.actions))
