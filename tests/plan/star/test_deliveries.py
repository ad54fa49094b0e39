"""A run reads one delivery of each external product."""

from plato_sas.api import StarState, StepState
from tests.support.samples import LIGHT_CURVE, graph
from tests.support.simulator import TEMPORARY, Ok, World, ending

READERS = graph({"a": [], "b": []})
NEWER = "2" * 64


def test_readers_side_by_side_that_found_two_deliveries_do_not_both_succeed() -> None:
    world = World(READERS, stages="PerStep")
    world.decide()
    assert world.created == ["a/1", "b/1"]
    world.finish("a")
    world.volume.delivered = NEWER
    world.finish("b")
    world.decide()
    assert world.states() == {"a": "Succeeded", "b": "Failed"}
    assert world.step("b").reason == "ChecksumMismatch"
    assert world.step("b").message == (
        f"{LIGHT_CURVE} has SHA-256 {NEWER}, but other steps of this run have read {'1' * 64}: "
        "it was delivered anew meanwhile"
    )
    assert world.status.inputs == {LIGHT_CURVE: "1" * 64}, "what the published product was made from"
    assert world.decide().status == world.status
    assert world.state is StarState.FAILED


def test_a_rerun_of_all_readers_takes_the_new_delivery() -> None:
    world = World(READERS, stages="PerStep").run()
    world.volume.delivered = NEWER
    world.spec["rerun"] = {"id": 1}
    world.run()
    assert world.states() == {"a": "Succeeded", "b": "Succeeded"}
    assert world.status.inputs == {LIGHT_CURVE: NEWER}


def test_readers_that_all_failed_are_free_to_read_a_new_delivery() -> None:
    world = World(READERS, ending(a=[TEMPORARY, Ok()], b=[TEMPORARY, Ok()]), stages="PerStep")
    world.decide()
    world.finish("a")
    world.finish("b")
    world.decide()
    assert {world.step(name).state for name in "ab"} == {StepState.PENDING}
    world.volume.delivered = NEWER
    world.run()
    assert world.states() == {"a": "Succeeded", "b": "Succeeded"}
    assert world.status.inputs == {LIGHT_CURVE: NEWER}
