"""Specs that must be refused at once, when they are applied: kind, spec, the field's path, and what the answer says."""

from typing import Any

from plato_sas.api import Document

_MODULE: Document = {"image": "registry/module:1", "version": "1", "outputs": [{"name": "OUT"}]}
_STEPS = [{"name": "a", "module": "m"}]
_STAR: Document = {"star": "KIC1", "campaign": "q1", "pipeline": "p"}
_COLUMN: Document = {"name": "x", "step": "a", "fact": "f"}

BadSpec = tuple[str, Document, str, str]


def _module(field: str, told: str, **spec: Any) -> BadSpec:
    return "ScienceModule", _MODULE | spec, field, told


def _parameter(told: str, **declared: Any) -> BadSpec:
    return _module("spec.parameters[0]", told, parameters=[{"name": "x", "type": "integer", "default": 1} | declared])


BAD_SPECS: list[BadSpec] = [
    _module("spec.image", "must be an image reference", image="Group/Name:1"),
    _module("spec.image", "must be an image reference", image="https://registry/name:1"),
    _module("spec.image", "must be an image reference", image="name@sha256:0123"),
    _module("spec.version", "must be one line of printable ASCII", version="1.0\n2.0"),
    _module("spec.args[0]", "must not contain a NUL", args=["a\0b"]),
    _module("spec.command[1]", "must not contain a NUL", command=["run", "\0"]),
    _module("spec.timeout", "must be a duration such as 90s, 20m, 1h30m or 2w", timeout="1.5h"),
    _module("spec.timeout", "must be a duration", timeout="30m1h"),
    _module("spec.facts[0].unit", "must be a unit in printable ASCII", facts=[
        {"name": "f", "type": "number", "unit": "\u00b5Hz"}]),
    _module("spec.resources.memory", "write 128M or 128Mi", resources={"memory": "128MB"}),
    _module("spec.resources.memory", "write 1M or 1Mi", resources={"memory": "1m"}),
    _module("spec.resources", "memory must be at least 1Mi", resources={"memory": "512"}),
    _module("spec.resources", "memoryCap must not be smaller than memory", resources={"memoryCap": "256Mi"}),
    _module("spec.resources", "memoryCap must not be smaller", resources={"memory": "1Gi", "memoryCap": "1G"}),
    _module("spec.resources.cpu", "must be cores above zero", resources={"cpu": "1Gi"}),
    _parameter("default must be of the parameter's type", default="1_000"),
    _parameter("default must be of the parameter's type", default="3.5"),
    _parameter("default must be of the parameter's type", default="9223372036854775808"),
    _parameter("default must be of the parameter's type", type="number", default="nan"),
    _parameter("default must be of the parameter's type", type="number", default="1e999"),
    _parameter("default must be of the parameter's type", type="boolean", default="yes"),
    _parameter("minimum must be of the parameter's type", minimum="1_0"),
    _parameter("maximum must be of the parameter's type", maximum="many"),
    _parameter("minimum must not be larger than maximum", minimum=5, maximum="3"),
    _parameter("default must not be smaller than minimum", minimum=2),
    _parameter("default must not be larger than maximum", type="number", default="1e3", maximum="999.5"),
    _parameter("default must be one of enum", type="string", default="c", enum=["a", "b"]),
    _parameter("enum is for parameters of type string", enum=["1"]),
    _parameter("minimum and maximum are for parameters", type="string", minimum=1),
    ("StarPipeline", {"steps": _STEPS, "externals": [{"name": "A", "path": "{quarter}/{star}.h5"}]},
     "spec.externals[0].path", "only {star} and {campaign}"),
    ("StarProcessing", _STAR | {"inputs": {"A": {"path": "{strar}/lc.h5"}}},
     "spec.inputs[A].path", "only {star} and {campaign}"),
    ("StarProcessing", _STAR | {"deadline": "6 h"}, "spec.deadline", "must be a duration"),
    ("StarProcessing", _STAR | {"ttl": "2d1w"}, "spec.ttl", "must be a duration"),
    ("StarCatalogue", {"campaign": "q1", "pipeline": "p", "tables": [
        {"name": "t", "columns": [_COLUMN | {"unit": "u\nHz"}]}]},
     "spec.tables[0].columns[0].unit", "must be a unit in printable ASCII"),
    ("StarCatalogue", {"campaign": "q1", "pipeline": "p", "tables": [{"name": "t", "columns": [_COLUMN]}],
     "resources": {"memory": "64MB"}}, "spec.resources.memory", "write 64M or 64Mi"),
]  # fmt: skip
