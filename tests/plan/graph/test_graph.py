"""A pipeline and its modules: what makes a sound graph, and how an unsound one is described."""

from itertools import pairwise
from typing import Any

import pytest

from plato_sas.plan.graph.graph import GraphInvalid, build_graph
from tests.support.samples import LIGHT_CURVE, dag, graph, module, pipeline


def refused(steps: list[dict[str, Any]], modules: dict[str, Any], **fields: Any) -> GraphInvalid:
    with pytest.raises(GraphInvalid) as error:
        build_graph("p", pipeline(steps, **fields), modules)
    return error.value


READER = module(inputs=[{"name": "IN"}])
LOOSE = module(inputs=[{"name": "IN", "optional": True}])
SOURCE = module()


@pytest.mark.parametrize(
    ("steps", "problem"),
    [
        (
            [{"name": "a", "module": "reader"}],
            "StarPipeline p: spec.steps[a].inputs: module 'reader' needs input IN",
        ),
        (
            [{"name": "a", "module": "source", "inputs": [{"name": "OTHER", "external": LIGHT_CURVE}]}],
            "StarPipeline p: spec.steps[a].inputs[OTHER]: module 'source' has no such input",
        ),
        (
            [{"name": "a", "module": "reader", "inputs": [{"name": "IN", "external": "DP9"}]}],
            "StarPipeline p: spec.steps[a].inputs[IN].external: 'DP9' is not in spec.externals",
        ),
        (
            [{"name": "a", "module": "reader", "inputs": [{"name": "IN", "step": "b"}]}],
            "StarPipeline p: spec.steps[a].inputs[IN].step: there is no step 'b'",
        ),
        (
            [
                {"name": "s", "module": "source"},
                {"name": "a", "module": "reader", "inputs": [{"name": "IN", "step": "s"}]},
            ],
            "StarPipeline p: spec.steps[a].inputs[IN].output: step 's' has no output 'IN'",
        ),
        (
            [
                {"name": "s", "module": "source"},
                {
                    "name": "a",
                    "module": "reader",
                    "inputs": [{"name": "IN", "step": "s", "output": "OUT", "optional": True}],
                },
            ],
            "StarPipeline p: spec.steps[a].inputs[IN].optional: the module cannot do without this input",
        ),
        (
            [{"name": "a", "module": "source", "parameters": {"snr": 3}}],
            "StarPipeline p: spec.steps[a].parameters.snr: module 'source' has no such parameter",
        ),
        (
            [{"name": "a", "module": "tuned", "parameters": {"snr": "high"}}],
            "StarPipeline p: spec.steps[a].parameters.snr: 'high' is not of type number",
        ),
    ],
)
def test_a_wiring_problem_names_its_field(steps: list[dict[str, Any]], problem: str) -> None:
    tuned = module(parameters=[{"name": "snr", "type": "number", "default": "3.0"}])
    error = refused(steps, {"reader": READER, "source": SOURCE, "tuned": tuned})
    assert error.reason == "PipelineInvalid"
    assert error.problems == [problem]
    assert str(error) == problem


def test_all_wiring_problems_are_told_at_once_and_always_in_one_order() -> None:
    inputs = [{"name": name, "external": LIGHT_CURVE} for name in ("Z", "Y", "X")]
    steps = [{"name": "a", "module": "source", "inputs": inputs}, {"name": "b", "module": "reader"}]
    error = refused(steps, {"reader": READER, "source": SOURCE})
    fields = [one.partition("spec.")[2].partition(": ")[0] for one in error.problems]
    assert fields == ["steps[a].inputs[X]", "steps[a].inputs[Y]", "steps[a].inputs[Z]", "steps[b].inputs"]


TWINS = [{"name": "A", "path": "x.h5"}, {"name": "B"}, {"name": "C", "path": "x.h5"}, {"name": "D", "path": "B.h5"}]


def test_two_outputs_of_a_module_are_two_files() -> None:
    # Two steps use the module; it is told once.
    steps = [{"name": name, "module": "twins"} for name in ("a", "b")]
    error = refused(steps, {"twins": module(outputs=TWINS)})
    assert error.reason == "PipelineInvalid"
    assert error.problems == [
        "ScienceModule twins: spec.outputs[C].path: x.h5 is the file of output A already",
        "ScienceModule twins: spec.outputs[D].path: B.h5 is the file of output B already",
    ]


@pytest.mark.parametrize("timeout", ["31d", "721h", "43201m", "2592001s"])
def test_a_timeout_beyond_thirty_days_is_refused(timeout: str) -> None:
    error = refused([{"name": "a", "module": "slow"}], {"slow": module(timeout=timeout)})
    assert error.problems == [f"ScienceModule slow: spec.timeout: {timeout} is longer than 30d"]


@pytest.mark.parametrize("timeout", ["30d", "720h", "43200m", "2592000s"])
def test_a_timeout_of_thirty_days_is_sound(timeout: str) -> None:
    built = build_graph("p", pipeline([{"name": "a", "module": "slow"}]), {"slow": module(timeout=timeout)})
    assert built.step("a").module.timeout == timeout


def test_every_missing_module_is_named() -> None:
    error = refused([{"name": "a", "module": "m1"}, {"name": "b", "module": "m2"}], {})
    assert error.reason == "ModuleNotFound"
    assert error.problems == [
        "StarPipeline p: spec.steps[a].module: there is no ScienceModule 'm1'",
        "StarPipeline p: spec.steps[b].module: there is no ScienceModule 'm2'",
    ]


def test_a_cycle_is_shown() -> None:
    spec, modules = dag({"a": ["c"], "b": ["a"], "c": ["b"], "d": []})
    with pytest.raises(GraphInvalid) as error:
        build_graph("p", spec, modules)
    assert error.value.reason == "GraphHasCycle"
    text = str(error.value)
    assert text.startswith("StarPipeline p: spec.steps: the steps form a cycle: ")
    around = text.rpartition(": ")[2].split(" -> ")
    assert around[0] == around[-1]
    assert set(around) == {"a", "b", "c"}
    waits_for = {"a": "c", "b": "a", "c": "b"}
    assert all(waits_for[one] == other for one, other in pairwise(around))


def test_a_step_cannot_read_its_own_output() -> None:
    spec, modules = dag({"a": ["a"]})
    with pytest.raises(GraphInvalid, match=r"cycle: a -> a$") as error:
        build_graph("p", spec, modules)
    assert error.value.reason == "GraphHasCycle"


def test_a_condition_closes_a_cycle_too() -> None:
    spec, modules = dag({"a": [], "b": ["a"]}, when={"a": "facts['b'].ok"}, facts={"b": {"ok": "boolean"}})
    with pytest.raises(GraphInvalid, match="cycle") as error:
        build_graph("p", spec, modules)
    assert error.value.reason == "GraphHasCycle"


@pytest.mark.parametrize("expression", ["facts['a'].nothing", "facts['zz'].ok", "facts['a'].ok &&", "facts['b'].own"])
def test_a_bad_condition_names_its_step(expression: str) -> None:
    spec, modules = dag(
        {"a": [], "b": ["a"]},
        when={"b": expression},
        facts={"a": {"ok": "boolean"}, "b": {"own": "boolean"}},
    )
    with pytest.raises(GraphInvalid, match=r"^StarPipeline p: spec\.steps\[b\]\.when: \S") as error:
        build_graph("p", spec, modules)
    assert error.value.reason == "ConditionInvalid"


def test_steps_are_in_topological_order_and_otherwise_in_the_pipelines() -> None:
    diamond = graph({"d": ["b", "c"], "c": ["a"], "b": ["a"], "a": [], "z": []})
    names = [step.name for step in diamond.steps]
    assert names == ["a", "z", "c", "b", "d"]


def test_a_step_waits_for_its_inputs_and_for_its_facts() -> None:
    built = graph(
        {"a": [], "b": [], "c": ["a"]}, when={"c": "facts['b'].ok"}, facts={"b": {"ok": "boolean"}}
    )  # fmt: skip
    assert built.step("c").upstream == {"a", "b"}
    assert built.step("a").upstream == frozenset()


def test_an_output_may_feed_an_input_of_another_name() -> None:
    steps = [
        {"name": "s", "module": "source"},
        {"name": "a", "module": "reader", "inputs": [{"name": "IN", "step": "s", "output": "OUT"}]},
    ]
    built = build_graph("p", pipeline(steps), {"reader": READER, "source": SOURCE})
    (bound,) = built.step("a").inputs
    assert (bound.name, bound.step, bound.output) == ("IN", "s", "OUT")


@pytest.mark.parametrize(
    ("written", "optional"), [({}, True), ({"optional": True}, True), ({"optional": False}, False)]
)
def test_a_pipeline_may_insist_on_an_input_that_the_module_can_do_without(
    written: dict[str, bool], optional: bool
) -> None:
    steps = [
        {"name": "s", "module": "source"},
        {"name": "a", "module": "loose", "inputs": [{"name": "IN", "step": "s", "output": "OUT", **written}]},
    ]
    built = build_graph("p", pipeline(steps), {"loose": LOOSE, "source": SOURCE})
    assert built.step("a").inputs[0].optional is optional


@pytest.mark.parametrize("source", [{"external": LIGHT_CURVE}, {"previous": "s", "output": "OUT"}])
def test_whether_an_optional_input_from_outside_is_there_only_the_pod_can_see(source: dict[str, str]) -> None:
    steps = [
        {"name": "s", "module": "source"},
        {"name": "a", "module": "loose", "inputs": [{"name": "IN", **source}]},
    ]
    built = build_graph("p", pipeline(steps), {"loose": LOOSE, "source": SOURCE})
    (bound,) = built.step("a").inputs
    assert (bound.optional, bound.late) == (True, True)
    assert built.step("a").upstream == frozenset(), "neither waits for a step of this campaign"


def test_an_input_of_the_campaign_before_names_a_step_and_an_output_that_exist() -> None:
    steps = [
        {"name": "s", "module": "source"},
        {"name": "a", "module": "loose", "inputs": [{"name": "IN", "previous": "zz"}]},
        {"name": "b", "module": "loose", "inputs": [{"name": "IN", "previous": "s", "output": "NOT"}]},
    ]
    assert refused(steps, {"loose": LOOSE, "source": SOURCE}).problems == [
        "StarPipeline p: spec.steps[a].inputs[IN].previous: there is no step 'zz'",
        "StarPipeline p: spec.steps[b].inputs[IN].output: step 's' has no output 'NOT'",
    ]


def test_a_step_may_read_its_own_product_of_the_campaign_before() -> None:
    steps = [{"name": "s", "module": "own", "inputs": [{"name": "IN", "previous": "s", "output": "OUT"}]}]
    built = build_graph("p", pipeline(steps), {"own": LOOSE})
    assert built.step("s").upstream == frozenset()


def test_an_optional_input_may_be_left_unconnected() -> None:
    built = build_graph("p", pipeline([{"name": "a", "module": "loose"}]), {"loose": LOOSE})
    assert built.step("a").inputs == ()


def test_a_steps_parameters_come_from_module_pipeline_and_star_in_that_order() -> None:
    tuned = module(parameters=[{"name": name, "type": "integer", "default": 1} for name in ("a", "b", "c")])
    steps = [{"name": "s", "module": "tuned", "parameters": {"b": 2, "c": 2}}]
    built = build_graph("p", pipeline(steps), {"tuned": tuned})
    assert built.step("s").parameters({"c": "3"}) == {"a": 1, "b": 2, "c": 3}


def test_a_step_that_cannot_be_handed_to_its_pod_is_refused_with_its_size() -> None:
    wordy = module(command=["x" * 1024] * 30, args=["y" * 1024] * 60)
    error = refused([{"name": "a", "module": "wordy"}], {"wordy": wordy})
    assert error.reason == "PipelineTooLarge"
    (problem,) = error.problems
    assert problem.startswith("StarPipeline p: spec.steps[a]: the order for its pod may have 9")
    assert problem.endswith(" bytes, of at most 90112: shorten args and parameters of module 'wordy'")
