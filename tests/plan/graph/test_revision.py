"""Revisions: named by what they hold, and enough to rebuild the graph."""

import json
import re

import pytest

from plato_sas.plan.graph.graph import GraphInvalid
from plato_sas.plan.graph.revision import load_revision, revision_content, revision_name
from tests.support.samples import dag, graph, module

EDGES = {"a": [], "b": ["a"]}


def test_equal_graphs_have_one_name() -> None:
    first, second = dag(EDGES), dag(EDGES)
    assert revision_name("p", revision_content(*first)) == revision_name("p", revision_content(*second))


def test_modules_that_the_pipeline_does_not_use_do_not_matter() -> None:
    spec, modules = dag(EDGES)
    more = {"zz": module(), **modules, "other": module(version="9")}
    assert revision_content(spec, more) == revision_content(spec, modules)
    assert revision_name("p", revision_content(spec, more)) == revision_name("p", revision_content(spec, modules))


def test_a_change_to_a_used_module_or_to_the_pipeline_gives_another_name() -> None:
    spec, modules = dag(EDGES)
    name = revision_name("p", revision_content(spec, modules))
    newer = {**modules, "b": modules["b"].model_copy(update={"version": "2.0.0"})}
    assert revision_name("p", revision_content(spec, newer)) != name
    described = spec.model_copy(update={"description": "now with words"})
    assert revision_name("p", revision_content(described, modules)) != name


def test_a_name_is_a_valid_object_name_even_for_a_long_pipeline() -> None:
    name = revision_name("p" * 51 + "-" + "q" * 11, {})
    assert len(name) <= 63
    assert "--" not in name


def test_a_pipeline_that_no_object_can_hold_is_refused_with_its_size() -> None:
    described = [{"name": f"O{at}", "description": "\u00b5" * 1024} for at in range(64)]
    spec, modules = dag({"a": [], "b": ["a"], "c": ["b"]}, module_fields={one: {"outputs": described} for one in "abc"})
    with pytest.raises(GraphInvalid) as error:
        revision_name("sas-test", revision_content(spec, modules))
    assert error.value.reason == "PipelineTooLarge"
    (problem,) = error.value.problems
    told = r"StarPipeline sas-test: with its modules it has 11\d{5} bytes as JSON, of at most 1048576: shorten .*"
    assert re.fullmatch(told, problem)


def test_the_graph_can_be_rebuilt_from_what_the_api_server_stored() -> None:
    options = {"when": {"b": "facts['a'].ok"}, "facts": {"a": {"ok": "boolean"}}}
    stored = json.loads(json.dumps(revision_content(*dag(EDGES, **options))))
    loaded, built = load_revision("sas-test", stored), graph(EDGES, **options)
    assert [step.name for step in loaded.steps] == [step.name for step in built.steps]
    assert [step.module for step in loaded.steps] == [step.module for step in built.steps]
    assert [step.inputs for step in loaded.steps] == [step.inputs for step in built.steps]
    assert loaded.step("b").upstream == {"a"}
    condition = loaded.step("b").when
    assert condition is not None
    assert condition.evaluate({"a": {"ok": True}}) is True
