"""An operator that dies between any two of its actions, forgets, or looks twice."""

from functools import partial

from plato_sas.api import StarState, StepState
from plato_sas.plan.star.decide import ReleaseJob, StartRun, StopJob
from tests.support.samples import graph
from tests.support.simulator import TEMPORARY, Ok, World, ending

DIAMOND = graph({"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]})
CHAIN = graph({"a": [], "b": ["a"], "c": ["b"]})
# A Job for every step, so that what is said of a step can be seen apart from its neighbours.
per_step = partial(World, stages="PerStep")


def test_a_crash_between_creating_a_job_and_writing_the_status_changes_nothing() -> None:
    world = per_step(DIAMOND)
    world.decide(crash_after=1)
    assert world.created == ["a/1"]
    assert world.status.steps == []
    decision = world.decide()
    assert decision.actions == ()
    assert (world.step("a").state, world.step("a").attempt) == (StepState.RUNNING, 1)
    assert world.run().created == ["a/1", "b/1", "c/1", "d/1"]


def test_a_crash_between_two_creations_starts_only_the_other() -> None:
    world = per_step(DIAMOND)
    world.decide()
    world.finish("a")
    world.decide(crash_after=1)
    assert world.created == ["a/1", "b/1"]
    world.decide()
    assert world.created == ["a/1", "b/1", "c/1"]


def test_a_crash_before_a_job_is_released_releases_it_later() -> None:
    world = per_step(graph({"a": []}))
    world.decide()
    world.finish("a")
    world.decide()
    world.decide(crash_after=0)
    world.decide()
    assert all(job.released for job in world.jobs.values())


def test_an_outcome_that_came_while_nobody_looked_is_recorded() -> None:
    world = per_step(DIAMOND, ending(a=[TEMPORARY, Ok()]))
    world.decide(crash_after=1)
    world.finish("a")
    world.decide()
    assert world.step("a").retries == {"Temporary": 1}
    assert world.run().state is StarState.SUCCEEDED


def test_a_lost_status_is_rebuilt_from_the_jobs() -> None:
    world = per_step(CHAIN, ending(a=[TEMPORARY, Ok({})])).run()
    before = world.status
    world.status = type(before)()
    world.decide()
    after = world.status
    assert world.created == ["a/1", "a/2", "b/1", "c/1"]
    assert [(s.name, s.state, s.attempt, s.retries, s.digest) for s in after.steps] == [
        (s.name, s.state, s.attempt, s.retries, s.digest) for s in before.steps
    ]


def test_deciding_twice_says_the_same_and_does_nothing_more() -> None:
    world = per_step(DIAMOND)
    while not world.state.at_rest:
        first = world.decide()
        world.time += 5  # nothing is overdue yet
        second = world.decide()
        third = world.decide()
        assert not [one for one in second.actions if isinstance(one, StartRun | StopJob)]
        assert second.status == first.status
        assert third.status == first.status
        assert all(isinstance(one, ReleaseJob) for one in third.actions)
        if active := world.active():
            active[0].finish()
    assert world.state is StarState.SUCCEEDED
