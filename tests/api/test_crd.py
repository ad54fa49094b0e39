"""The generated CustomResourceDefinitions: in step with the models, and structural as the API server demands."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from plato_sas.api.crd import KINDS, crd, documents

FOLDER = Path(__file__).parents[2] / "crds"
Schema = dict[str, Any]
CRDS: dict[str, Schema] = {model.__name__: crd(model, *rest) for model, *rest in KINDS}


def version(kind: str) -> Schema:
    return CRDS[kind]["spec"]["versions"][0]


def root(kind: str) -> Schema:
    return version(kind)["schema"]["openAPIV3Schema"]


def walk(schema: Schema, path: str) -> Iterator[tuple[str, Schema]]:
    yield path, schema
    for name, field in schema.get("properties", {}).items():
        yield from walk(field, f"{path}.{name}")
    if "items" in schema:
        yield from walk(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from walk(schema["additionalProperties"], f"{path}{{}}")


def nodes(kind: str, part: str) -> list[tuple[str, Schema]]:
    fields = root(kind)["properties"]
    return list(walk(fields[part], part)) if part in fields else []


EVERY_NODE = [(kind, path, node) for kind in CRDS for part in ("spec", "status") for path, node in nodes(kind, part)]


# What `kubectl explain` lists by a name of its own; items and values of plain types are told by their list or map.
EVERY_FIELD = [
    pytest.param(node, id=f"{kind}.{path}")
    for kind, path, node in EVERY_NODE
    if not path.endswith(("[]", "{}")) or "properties" in node
]


def rules(kind: str, path: str) -> list[str]:
    node = dict(nodes(kind, path.partition(".")[0]))[path]
    return [one["rule"] for one in node.get("x-kubernetes-validations", [])]


def test_the_files_are_what_the_models_say() -> None:
    written = {path.name: path.read_text() for path in FOLDER.glob("*.yaml")}
    assert written == documents(), "crds/ is out of date: run `make generate`"


def test_the_files_are_yaml_with_one_definition_each() -> None:
    for text in documents().values():
        assert yaml.safe_load(text)["kind"] == "CustomResourceDefinition"


@pytest.mark.parametrize("kind", CRDS)
def test_every_node_is_structural(kind: str) -> None:
    for path, node in walk(root(kind), ""):
        forbidden = {"$ref", "anyOf", "oneOf", "allOf", "not", "const", "title", "patternProperties", "nullable"}
        assert not forbidden & node.keys(), path
        typed = "type" in node or "x-kubernetes-int-or-string" in node or "x-kubernetes-preserve-unknown-fields" in node
        assert typed, f"{path} has no type"
        assert not isinstance(node.get("additionalProperties"), bool), path
        assert not ("properties" in node and "additionalProperties" in node), path


def test_no_object_is_empty() -> None:
    """The API server would drop whatever is written into it."""
    for kind, path, node in EVERY_NODE:
        if node.get("type") == "object":
            assert node.keys() & {"properties", "additionalProperties"}, f"{kind}: {path}"


def test_every_string_list_and_map_is_bounded() -> None:
    unbounded = []
    for kind, path, node in EVERY_NODE:
        if "enum" in node:
            continue
        bound = {"string": "maxLength", "array": "maxItems"}.get(node.get("type", ""))
        if node.get("type") == "object" and "additionalProperties" in node:
            bound = "maxProperties"
        # A map of facts within the status is bounded by the module's declarations (16 facts).
        if bound and bound not in node and path != "status.facts{}":
            unbounded.append(f"{kind}: {path} lacks {bound}")
    assert unbounded == []


@pytest.mark.parametrize("field", EVERY_FIELD)
def test_every_field_has_a_description(field: Schema) -> None:
    assert field.get("description", "").strip()


def test_descriptions_are_sentences_that_say_more_than_the_name() -> None:
    for kind, path, node in EVERY_NODE:
        text = node.get("description")
        if text is not None:
            assert text.endswith((".", ")")), f"{kind}: {path}: {text}"
            assert len(text.split()) >= 3, f"{kind}: {path}: {text}"
            assert len(text) <= 400, f"{kind}: {path}: {len(text)} characters"


def test_there_are_no_floats_in_a_spec() -> None:
    assert [path for _, path, node in EVERY_NODE if path.startswith("spec") and node.get("type") == "number"] == []


def test_no_spec_node_keeps_unknown_fields() -> None:
    open_nodes = {p for _, p, node in EVERY_NODE if "x-kubernetes-preserve-unknown-fields" in node}
    assert open_nodes == {"status.facts{}{}"}


def test_defaults_are_scalars_and_only_in_a_spec() -> None:
    for kind, path, node in EVERY_NODE:
        if "default" in node:
            assert path.startswith("spec"), (kind, path)
            assert isinstance(node["default"], str | int | bool), (kind, path)
    spec = root("StarProcessing")["properties"]["spec"]["properties"]
    assert spec["desiredState"]["default"] == "Run"
    assert spec["priority"]["default"] == 0


def test_required_fields_have_no_default() -> None:
    for kind, path, node in EVERY_NODE:
        for name in node.get("required", []):
            assert "default" not in node["properties"][name], f"{kind}: {path}.{name}"


def test_lists_of_named_things_are_maps_by_a_required_key() -> None:
    for kind, path, node in EVERY_NODE:
        if node.get("x-kubernetes-list-type") == "map":
            (key,) = node["x-kubernetes-list-map-keys"]
            assert key in node["items"]["required"], f"{kind}: {path}"
    assert dict(nodes("StarProcessing", "status"))["status.conditions"]["x-kubernetes-list-map-keys"] == ["type"]


@pytest.mark.parametrize("field", ["star", "campaign", "pipeline"])
def test_what_a_star_is_cannot_be_changed(field: str) -> None:
    assert "self == oldSelf" in rules("StarProcessing", f"spec.{field}")


def test_an_input_comes_from_exactly_one_place() -> None:
    (rule,) = [one for one in rules("StarPipeline", "spec.steps[].inputs[]") if "size() == 1" in one]
    assert all(f"has(self.{source})" in rule for source in ("external", "step", "previous"))


def test_a_rerun_is_of_some_steps_or_of_failed_ones_and_its_number_only_grows() -> None:
    assert any("has(self.from)" in rule and "self.failed" in rule for rule in rules("StarProcessing", "spec.rerun"))
    assert any("self.rerun.id >= oldSelf.rerun.id" in rule for rule in rules("StarProcessing", "spec"))


def test_the_campaign_before_is_another_one() -> None:
    assert any("self.previousCampaign != self.campaign" in rule for rule in rules("StarProcessing", "spec"))


@pytest.mark.parametrize("field", ["spec.parameters", "spec.inputs"])
def test_names_of_steps_and_products_used_as_keys_are_checked_with_cel(field: str) -> None:
    assert any("key.matches" in rule for rule in rules("StarProcessing", field))


def test_no_module_may_claim_the_managers_manifest() -> None:
    assert any("manifest.json" in rule for rule in rules("ScienceModule", "spec.outputs[]"))


@pytest.mark.parametrize("field", ["campaign", "pipeline", "tables", "stars"])
def test_what_a_catalogue_is_made_of_cannot_be_changed(field: str) -> None:
    assert "self == oldSelf" in rules("StarCatalogue", f"spec.{field}")


def test_a_catalogues_stars_are_not_given_or_taken_away_later_and_its_reruns_only_grow() -> None:
    found = rules("StarCatalogue", "spec")
    assert "has(self.stars) == has(oldSelf.stars)" in found
    assert any("self.rerun.id >= oldSelf.rerun.id" in rule for rule in found)


def test_a_column_comes_from_a_fact_or_a_product() -> None:
    found = rules("StarCatalogue", "spec.tables[].columns[]")
    assert "has(self.fact) != has(self.output)" in found
    assert any("has(self.pointer)" in rule and "has(self.type)" in rule for rule in found)


@pytest.mark.parametrize("kind", ["StarProcessing", "StarCatalogue"])
def test_what_runs_has_a_status_and_it_is_a_subresource(kind: str) -> None:
    assert version(kind)["subresources"] == {"status": {}}


def test_what_is_only_read_has_no_status() -> None:
    assert "subresources" not in version("StarPipeline")
    assert "status" not in root("ScienceModule")["properties"]


@pytest.mark.parametrize(
    ("kind", "short"),
    [("StarProcessing", "sp"), ("StarPipeline", "spl"), ("ScienceModule", "scimod"), ("StarCatalogue", "scat")],
)
def test_names(kind: str, short: str) -> None:
    spec = CRDS[kind]["spec"]
    assert (spec["group"], spec["scope"]) == ("plato-sas.io", "Namespaced")
    assert spec["names"]["shortNames"] == [short]
    assert spec["names"]["categories"] == ["plato"]
    assert CRDS[kind]["metadata"]["name"] == f"{spec['names']['plural']}.plato-sas.io"


def test_columns_of_kubectl_get_sp() -> None:
    columns = version("StarProcessing")["additionalPrinterColumns"]
    shown = [one["name"].upper() for one in columns if one["priority"] == 0]
    assert shown == ["STAR", "CAMPAIGN", "PIPELINE", "STATE", "STEPS", "STEP", "AGE"]
    assert len(columns) > len(shown), "-o wide shows more"


@pytest.mark.parametrize("kind", CRDS)
def test_every_column_shows_a_field_that_exists(kind: str) -> None:
    paths = {path for part in ("spec", "status") for path, _ in nodes(kind, part)}
    for column in version(kind)["additionalPrinterColumns"]:
        path = column["jsonPath"].removeprefix(".")
        if path.startswith("metadata."):
            continue
        plain = path.replace("[*]", "[]").replace("[?(@.type=='Complete')]", "[]")
        assert plain in paths, column
