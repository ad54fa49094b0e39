"""Which steps share a Job."""

from pathlib import Path
from typing import Any

import pytest
import yaml

from plato_sas.api import ScienceModule, StarPipeline, StarState
from plato_sas.plan.graph.graph import Graph, build_graph
from tests.support.samples import graph, output_of
from tests.support.simulator import OUT_OF_MEMORY, Ok, Outcome, World, ending

DIAMOND = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}


def created(built: Graph, limit: int = 16, **spec: Any) -> list[str]:
    world = World(built, **spec)
    world.limit = limit
    return world.run().created


def test_what_can_be_decided_at_once_is_one_job() -> None:
    assert created(graph(DIAMOND)) == ["a/1+b/1+c/1+d/1"]


def test_per_step_makes_a_job_of_every_step_and_the_stars_wish_overrides_the_pipelines() -> None:
    assert created(graph(DIAMOND), stages="PerStep") == ["a/1", "b/1", "c/1", "d/1"]


def test_the_next_stage_starts_where_a_fact_is_needed() -> None:
    built = graph(
        {"a": [], "b": ["a"], "c": ["a"], "d": ["c"]},
        facts={"a": {"flag": "boolean"}},
        when={"c": "facts['a'].flag"},
    )
    world = World(built, ending(a=Ok({"flag": True}))).run()
    assert world.created == ["a/1+b/1", "c/1+d/1"]


def test_a_step_whose_fact_and_input_come_from_two_steps_waits_for_the_fact_alone() -> None:
    built = graph(
        {"a": [], "b": [], "c": ["b"], "d": ["c"]}, facts={"a": {"flag": "boolean"}}, when={"d": "facts['a'].flag"}
    )
    world = World(built, ending(a=Ok({"flag": True})))
    world.limit = 3
    assert world.run().created == ["a/1+b/1+c/1", "d/1"]


def test_a_step_that_reads_an_optional_output_waits_until_it_is_known_to_be_there() -> None:
    outputs = [{"name": output_of("a")}, {"name": "EXTRA", "optional": True}]
    reader = {"inputs": [{"name": output_of("a")}], "outputs": [{"name": "OUT_B"}]}
    sure = graph({"a": [], "b": ["a"]}, module_fields={"a": {"outputs": outputs}, "b": reader})
    assert created(sure) == ["a/1+b/1"], "this one reads the output that must be there"
    unsure = graph(
        {"a": [], "b": ["a"]}, module_fields={"a": {"outputs": [{"name": output_of("a"), "optional": True}]}}
    )
    assert created(unsure) == ["a/1", "b/1"]


def test_a_step_that_needs_far_more_than_its_neighbours_gets_a_job_of_its_own() -> None:
    heavy = {"resources": {"cpu": "4", "memory": "512Mi"}}
    built = graph({"a": [], "b": ["a"], "x": ["a"], "d": ["b"]}, module_fields={"x": heavy})
    assert created(built) == ["a/1+b/1+d/1", "x/1"]


@pytest.mark.parametrize(("memory", "alone"), [("1Gi", False), ("4Gi", False), ("4097Mi", True), ("16Gi", True)])
def test_how_far_memory_may_differ(memory: str, alone: bool) -> None:
    built = graph({"a": [], "b": []}, module_fields={"b": {"resources": {"memory": memory}}})
    assert created(built) == (["a/1", "b/1"] if alone else ["a/1+b/1"])


def test_small_differences_do_not_matter_however_large_their_ratio() -> None:
    tiny = {"resources": {"cpu": "10m", "memory": "16Mi"}}
    built = graph({"a": [], "b": []}, module_fields={"a": tiny, "b": {"resources": {"cpu": "1", "memory": "2Gi"}}})
    assert created(built) == ["a/1+b/1"]


def test_memory_that_has_grown_may_part_a_step_from_its_neighbours() -> None:
    resources = {"memory": "1Gi", "memoryCap": "8Gi"}
    built = graph({"a": [], "b": []}, module_fields={"a": {"resources": resources}})

    def hungry(step: str, run: int, memory: int) -> Outcome:
        return Ok() if step == "b" or memory >= 8192 else ending(a=OUT_OF_MEMORY)(step, run, memory)

    assert World(built, hungry).run().created == ["a/1+b/1", "a/2+b/1", "a/3+b/1", "a/4", "b/1"]


@pytest.mark.parametrize(("steps", "sizes"), [(16, [16]), (17, [16, 1]), (33, [16, 16, 1])])
def test_a_stage_has_at_most_sixteen_steps(steps: int, sizes: list[int]) -> None:
    apart = created(graph({f"s{index:02}": [] for index in range(steps)}))
    assert [label.count("+") + 1 for label in apart] == sizes
    chain = created(graph({f"s{index:02}": [f"s{index - 1:02}"] if index else [] for index in range(steps)}))
    assert [label.count("+") + 1 for label in chain] == sizes


def test_a_site_may_want_smaller_stages() -> None:
    assert created(graph(DIAMOND), limit=2) == ["a/1+b/1", "c/1+d/1"]


def baseline() -> Graph:
    repository = Path(__file__).parents[3]
    texts = [path.read_text() for path in repository.glob("modules/*/module.yaml")]
    modules = [ScienceModule.model_validate(one) for text in texts for one in yaml.safe_load_all(text)]
    written = yaml.safe_load_all((repository / "manifests/pipelines/sas-baseline.yaml").read_text())
    pipeline = StarPipeline.model_validate(next(one for one in written if one and one["kind"] == "StarPipeline"))
    return build_graph(pipeline.metadata.name, pipeline.spec, {one.metadata.name: one.spec for one in modules})


def test_the_baseline_of_thirty_steps_needs_some_five_jobs() -> None:
    built = baseline()
    assert len(built.steps) == 30
    anything = {"boolean": True, "integer": 1, "number": 1.0, "string": "x"}

    def flagged(step: str, run: int, memory: int) -> Outcome:
        return Ok({one.name: anything[one.type.value] for one in built.step(step).module.facts})

    world = World(built, flagged).run()
    assert world.state is StarState.SUCCEEDED
    assert len(world.begun) >= 28, "next to every branch was taken"
    assert 3 <= len(world.created) <= 6
