"""What a stage's description says about inputs that were read before."""

import pytest

from plato_sas.api import StepState, StepStatus
from plato_sas.plan.graph.graph import Graph, build_graph
from plato_sas.plan.star.stages import salvage_for, stage_for
from plato_sas.stager.description import InputDescription
from tests.support.samples import LIGHT_CURVE, module, pipeline, processing

READ = {LIGHT_CURVE: "c" * 64}


def two_readers(name: str = LIGHT_CURVE) -> Graph:
    """a reads the light curve; b reads it too, perhaps under another name, and what a makes."""
    modules = {
        "a": module(inputs=[{"name": LIGHT_CURVE}], outputs=[{"name": "ONE"}]),
        "b": module(inputs=[{"name": name}, {"name": "ONE"}], outputs=[{"name": "TWO"}]),
    }
    spec = pipeline([
        {"name": "a", "module": "a", "inputs": [{"name": LIGHT_CURVE, "external": LIGHT_CURVE}]},
        {"name": "b", "module": "b", "inputs": [
            {"name": name, "external": LIGHT_CURVE}, {"name": "ONE", "step": "a"}]},
    ])  # fmt: skip
    return build_graph("sas-test", spec, modules)


def described(state: StepState, name: str = LIGHT_CURVE, **spec: object) -> InputDescription:
    """The light curve as step b is to read it, with step a in a state."""
    graph = two_readers(name)
    statuses = {"a": StepStatus(name="a", state=state), "b": StepStatus(name="b")}
    run = stage_for(processing(**spec), graph, [graph.step("b")], statuses, READ, 0)
    return run.description.steps[0].inputs[0]


@pytest.mark.parametrize("state", [StepState.SUCCEEDED, StepState.REUSED, StepState.RUNNING, StepState.PUBLISHING])
def test_what_another_step_has_read_is_known(state: StepState) -> None:
    assert described(state).known == "c" * 64


@pytest.mark.parametrize("state", [StepState.PENDING, StepState.FAILED, StepState.SKIPPED])
def test_what_nothing_was_made_from_may_be_delivered_anew(state: StepState) -> None:
    assert described(state).known is None


def test_an_input_carries_its_name_in_the_pipeline_where_that_is_another() -> None:
    assert described(StepState.SUCCEEDED).external is None
    assert described(StepState.SUCCEEDED, "DP1_OTHER").external == LIGHT_CURVE
    assert described(StepState.SUCCEEDED, "DP1_OTHER").known == "c" * 64


@pytest.mark.parametrize(
    ("inputs", "chosen"),
    [({}, False), ({LIGHT_CURVE: {"sha256": "c" * 64}}, False), ({LIGHT_CURVE: {"path": "x.h5"}}, True)],
)
def test_a_path_of_the_stars_own_choice_is_marked(inputs: object, chosen: bool) -> None:
    assert described(StepState.SUCCEEDED, inputs=inputs).chosen is chosen


def test_a_salvage_looks_at_the_inputs_that_its_steps_have_read() -> None:
    graph = two_readers()
    statuses = {name: StepStatus(name=name, state=StepState.PUBLISHING, attempt=1) for name in "ab"}
    assert salvage_for(processing(), graph, "job-1", ["b"], statuses).reads_inputs
    alone = build_graph("sas-test", pipeline([{"name": "a", "module": "m"}]), {"m": module()})
    assert not salvage_for(processing(), alone, "job-1", ["a"], statuses).reads_inputs
