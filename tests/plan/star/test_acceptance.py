"""Whether a star fits its pipeline; every problem names its field."""

import pytest

from plato_sas.api import StarState
from plato_sas.plan.graph.graph import build_graph
from plato_sas.plan.graph.nearest import shown
from plato_sas.plan.star.acceptance import problems
from tests.support.samples import LIGHT_CURVE, graph, module, pipeline, processing
from tests.support.simulator import World

GRAPH = graph(
    {"a": [], "b": ["a"]},
    module_fields={
        "a": {"parameters": [{"name": "snr", "type": "number", "default": 3, "minimum": 0},
                             {"name": "n", "type": "integer", "default": 1}]},
    },
)  # fmt: skip


def test_a_star_without_wishes_fits() -> None:
    assert problems(processing().spec, GRAPH) == []


def test_a_star_may_set_declared_parameters_and_inputs() -> None:
    spec = processing(parameters={"a": {"snr": "2.5", "n": 4}}, inputs={LIGHT_CURVE: {"path": "x.h5"}}).spec
    assert problems(spec, GRAPH) == []


def test_every_problem_is_told_with_its_field() -> None:
    spec = processing(
        parameters={"nope": {"x": 1}, "a": {"zeal": 1, "Snr-": 2, "snr": "-1", "n": "many"}, "b": {"q": 1}},
        inputs={"DP9_OTHER": {}},
    ).spec
    assert problems(spec, GRAPH) == [
        "spec.parameters.nope: pipeline 'sas-test' has no step 'nope'",
        "spec.parameters.a.zeal: no such parameter (module's parameters: n, snr)",
        "spec.parameters.a.'Snr-': no such parameter: did you mean snr? (module's parameters: n, snr)",
        "spec.parameters.a.snr: '-1' must be at least 0",
        "spec.parameters.a.n: 'many' is not of type integer",
        "spec.parameters.b.q: no such parameter (module's parameters: none)",
        f"spec.inputs.DP9_OTHER: not an external input of the pipeline (externals: {LIGHT_CURVE})",
    ]


def test_a_previous_input_that_a_step_needs_wants_a_previous_campaign() -> None:
    reader = module(inputs=[{"name": "IN"}, {"name": "HINT", "optional": True}])
    inputs = [{"name": name, "previous": "a", "output": "OUT"} for name in ("IN", "HINT")]
    built = build_graph("sas-test", pipeline([{"name": "a", "module": "m", "inputs": inputs}]), {"m": reader})
    assert problems(processing().spec, built) == ["spec.previousCampaign: step 'a' needs input IN of step 'a' in it"]
    assert problems(processing(previousCampaign="q0").spec, built) == []


def test_a_rerun_names_steps_that_exist() -> None:
    spec = processing(rerun={"id": 1, "from": ["a", "zz"]}).spec
    assert problems(spec, GRAPH) == ["spec.rerun.from: pipeline 'sas-test' has no step 'zz'"]


@pytest.mark.parametrize("name", ["Snr", "snr-", "s n r", "", "\u0430", "\x1b[31m", "x" * 300, "\ud800"])
def test_whatever_name_a_parameter_is_given_the_star_can_be_read_rejected_and_cancelled(name: str) -> None:
    world = World(GRAPH)
    world.decide()
    assert world.states()["a"] == "Running"
    world.spec["parameters"] = {"a": {name: 1}}
    world.decide()
    assert world.states()["a"] == "Running", "what runs is left to end"
    status, reason, message = world.condition("Accepted")
    assert (status, reason) == ("False", "SpecInvalid")
    assert message.startswith(f"spec.parameters.a.{shown(name)}: no such parameter")
    assert message.isprintable()
    world.spec["desiredState"] = "Cancel"
    world.decide()
    assert world.state is StarState.CANCELLED
    assert world.jobs == {}


def test_a_mistyped_step_is_told_which_one_was_meant() -> None:
    spec = processing(parameters={"msap1-a": {"n": 1}}).spec
    built = graph({"msap-1a": []})
    assert problems(spec, built) == [
        "spec.parameters.msap1-a: pipeline 'sas-test' has no step 'msap1-a': did you mean msap-1a?"
    ]


def test_a_star_that_sets_too_much_is_told_how_much() -> None:
    declared = [{"name": f"p{at}", "type": "string", "default": ""} for at in range(64)]
    externals = [{"name": f"DP{at}", "path": "x"} for at in range(64)]
    built = build_graph(
        "p", pipeline([{"name": "a", "module": "m"}], externals=externals), {"m": module(parameters=declared)}
    )
    parameters = {"a": {f"p{at}": "\u00b5" * 256 for at in range(64)}}
    inputs = {f"DP{at}": {"path": "{star}" * 42} for at in range(64)}
    assert problems(processing(parameters=parameters, inputs=inputs).spec, built) == [
        "spec.parameters.a: 98998 bytes as JSON, of at most 16384",
        "spec.inputs: 129280 bytes as JSON, of at most 16384",
    ]
