"""When the sensor's goal is reached, and when it is out of reach."""

from typing import Any

import pytest

from plato_sas_airflow.batches.goal import Goal, Reaching
from tests.plato_sas_airflow.resources import changed, resource


def reaching(**goal: Any) -> Reaching:
    return Reaching(Goal.of(**goal))


def test_success_of_every_star_is_waited_for() -> None:
    seen = reaching(minimum=2)
    assert not seen.done
    seen.observe(resource("KIC1", "Succeeded"))
    assert not seen.done, "one more has to be there"
    seen.observe(resource("KIC2", "Running"))
    assert not seen.done
    seen.observe(resource("KIC2", "Succeeded"))
    assert seen.reached
    assert seen.event() == {"problem": "", "stars": 2, "states": {"Succeeded": 2}}


@pytest.mark.parametrize(
    "unfinished",
    [
        resource(state=None, observed=None),
        resource(state="Succeeded", generation=2, observed=1),
        changed(resource(state="Succeeded"), rerun={"id": 1}),
        resource(state="Rejected"),
    ],
    ids=["no status", "of an older spec", "rerun not taken up", "may heal"],
)
def test_nothing_else_is_success_or_failure(unfinished: Any) -> None:
    seen = reaching()
    seen.observe(unfinished)
    assert not seen.done


def test_another_end_puts_it_out_of_reach() -> None:
    seen = reaching()
    seen.observe(resource("KIC1", "Succeeded"))
    seen.observe(resource("KIC2", "Failed"))
    assert seen.done
    assert not seen.reached
    assert seen.problem == "kic2-q1: Failed"


def test_any_end_can_be_waited_for() -> None:
    seen = reaching(allowed=["Succeeded", "Failed", "Cancelled"])
    seen.observe(resource("KIC1", "Failed"))
    seen.observe(resource("KIC2", "Cancelled"))
    assert seen.reached


def test_a_star_that_is_deleted_never_succeeds() -> None:
    seen = reaching()
    seen.observe(resource("KIC1", "Succeeded"))
    seen.observe(resource("KIC2", "Running"))
    seen.gone("kic2-q1")
    assert not seen.reached
    assert seen.problem == "kic2-q1: Deleted"


def test_a_star_that_has_come_to_the_state_may_go() -> None:
    seen = reaching(minimum=2)
    seen.observe(resource("KIC1", "Succeeded"))
    seen.missing(set())
    seen.observe(resource("KIC2", "Succeeded"))
    assert seen.reached


def test_one_steps_state() -> None:
    steps = [{"name": "msap1", "state": "Reused"}, {"name": "msap3-03", "state": "Running"}]
    running = resource("KIC1", "Running", status={"steps": steps})
    for step, done in (("msap1", True), ("msap3-03", False), ("absent", False)):
        seen = reaching(step=step)
        seen.observe(running)
        assert seen.reached is done
    skipped = [{"name": "msap3-03", "state": "Skipped"}]
    seen = reaching(step="msap3-03")
    seen.observe(resource("KIC1", "Succeeded", status={"steps": skipped}))
    assert seen.problem == "kic1-q1: step msap3-03 Skipped"


def test_a_goal_comes_back_the_same() -> None:
    goal = Goal.of("msap1", ["Succeeded"], ["Failed"], 7)
    assert Goal.deserialize(goal.serialize()) == goal
