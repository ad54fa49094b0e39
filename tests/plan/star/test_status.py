"""The status stays small, whatever happened to the star."""

import pytest

from plato_sas.api import StarProcessingStatus, StarState
from plato_sas.plan.star.decide import StartRun, decide
from tests.support.samples import LIGHT_CURVE, graph, output_of
from tests.support.simulator import Bad, Ok, World, ending

THIRTY = [f"msap{index % 5 + 1}-{index:02}-long-name-of-a-step" for index in range(30)]


def size(status: StarProcessingStatus) -> int:
    return len(status.model_dump_json(by_alias=True, exclude_none=True).encode())


@pytest.mark.parametrize("log", ["x" * 1024, "\n" * 1024, '"\\' * 512, "é" * 1024, "\U0001f52d" * 1024, "\x00" * 1024])
def test_thirty_failed_steps_with_long_logs_fit(log: str) -> None:
    world = World(graph({name: [] for name in THIRTY}), ending(**dict.fromkeys(THIRTY, Bad(2, log + "the last line"))))
    world.run()
    assert world.state is StarState.FAILED
    assert all(step.state == "Failed" for step in world.status.steps)
    assert all(step.message and step.message.endswith("the last line") for step in world.status.steps)
    assert size(world.status) < 16 * 1024


def test_thirty_published_steps_with_facts_fit() -> None:
    facts = {f"fact_number_{index}": 123.456789012345 for index in range(3)}
    built = graph({name: [] for name in THIRTY}, facts=dict.fromkeys(THIRTY, dict.fromkeys(facts, "number")))
    world = World(built, ending(**dict.fromkeys(THIRTY, Ok(facts)))).run()
    assert len(world.status.facts) == 30
    assert size(world.status) < 16 * 1024


def test_messages_that_were_cut_stay_as_they_are() -> None:
    world = World(graph({name: [] for name in THIRTY}), ending(**dict.fromkeys(THIRTY, Bad(2, "long log" * 128))))
    world.run()
    again = decide(world.observe())
    assert again.status == world.status
    assert not [one for one in again.actions if isinstance(one, StartRun)]


def test_a_few_long_logs_are_kept_whole() -> None:
    world = World(graph({"a": [], "b": []}), ending(a=Bad(2, "x" * 1024), b=Bad(2, "y" * 1024))).run()
    assert [step.message for step in world.status.steps] == ["x" * 1024, "y" * 1024]


def test_what_was_read_and_left_out_is_told() -> None:
    loose = {"a": {"outputs": [{"name": output_of("a"), "optional": True}]}}
    world = World(graph({"a": []}, module_fields=loose), ending(a=Ok(missing=(output_of("a"),)))).run()
    assert world.status.inputs == {LIGHT_CURVE: "1" * 64}
    assert world.step("a").missing == [output_of("a")]
