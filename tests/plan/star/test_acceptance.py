"""Whether a star fits its pipeline; every problem names its field."""

from plato_sas.plan.graph.graph import build_graph
from plato_sas.plan.star.acceptance import problems
from tests.support.samples import LIGHT_CURVE, graph, module, pipeline, processing

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
        parameters={"nope": {"x": 1}, "a": {"zeal": 1, "snr": "-1", "n": "many"}, "b": {"q": 1}},
        inputs={"DP9_OTHER": {}},
    ).spec
    assert problems(spec, GRAPH) == [
        "spec.parameters.nope: pipeline 'sas-test' has no step 'nope'",
        "spec.parameters.a.zeal: no such parameter (module's parameters: n, snr)",
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
