"""Generate `crds/*.yaml` from the models: `python -m plato_sas.api.crd FOLDER`.

pydantic's JSON schema becomes a structural schema, as the API server demands: references inlined, no nullable unions,
no closed objects (the server itself prunes or refuses unknown fields), patterns of keys as CEL rules.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import yaml

from plato_sas.api.base import GROUP, VERSION, ApiModel
from plato_sas.api.catalogue import StarCatalogue
from plato_sas.api.module import ScienceModule
from plato_sas.api.pipeline import StarPipeline
from plato_sas.api.processing import StarProcessing

Schema = dict[str, Any]
Column = tuple[str, str, str, int]  # name, type, JSONPath, priority (0: always shown, 1: with -o wide)

KINDS: list[tuple[type[ApiModel], str, str, list[Column]]] = [
    (
        StarProcessing,
        "starprocessings",
        "sp",
        [
            ("Star", "string", ".spec.star", 0),
            ("Campaign", "string", ".spec.campaign", 0),
            ("Pipeline", "string", ".spec.pipeline", 0),
            ("State", "string", ".status.state", 0),
            ("Steps", "string", ".status.progress", 0),
            ("Step", "string", ".status.step", 0),
            ("Age", "date", ".metadata.creationTimestamp", 0),
            ("Reason", "string", ".status.conditions[?(@.type=='Complete')].reason", 1),
            ("Priority", "integer", ".spec.priority", 1),
            ("Started", "date", ".status.startedAt", 1),
            ("Finished", "date", ".status.finishedAt", 1),
            ("Revision", "string", ".status.revision", 1),
        ],
    ),
    (
        StarPipeline,
        "starpipelines",
        "spl",
        [
            ("Description", "string", ".spec.description", 0),
            ("Age", "date", ".metadata.creationTimestamp", 0),
        ],
    ),
    (
        ScienceModule,
        "sciencemodules",
        "scimod",
        [
            ("Version", "string", ".spec.version", 0),
            ("Description", "string", ".spec.description", 0),
            ("Age", "date", ".metadata.creationTimestamp", 0),
            ("Image", "string", ".spec.image", 1),
            ("Timeout", "string", ".spec.timeout", 1),
        ],
    ),
    (
        StarCatalogue,
        "starcatalogues",
        "scat",
        [
            ("Campaign", "string", ".spec.campaign", 0),
            ("Pipeline", "string", ".spec.pipeline", 0),
            ("State", "string", ".status.state", 0),
            ("Stars", "integer", ".status.stars.seen", 0),
            ("Problems", "integer", ".status.stars.withProblems", 0),
            ("Age", "date", ".metadata.creationTimestamp", 0),
            ("Started", "date", ".status.startedAt", 1),
            ("Finished", "date", ".status.finishedAt", 1),
            ("Message", "string", ".status.message", 1),
        ],
    ),
]

_DROPPED = {"title", "additionalProperties", "patternProperties", "propertyNames", "const"}


def structural(schema: Schema, definitions: dict[str, Schema], defaults: bool) -> Schema:
    """One schema node as a structural schema, with default values for the server to fill in only if `defaults`."""
    if "$ref" in schema:
        target = definitions[schema["$ref"].rsplit("/", 1)[-1]]
        schema = {**target, **{key: value for key, value in schema.items() if key != "$ref"}}
    if "anyOf" in schema:
        (alternative,) = [one for one in schema["anyOf"] if one.get("type") != "null"]
        rest = {key: value for key, value in schema.items() if key not in ("anyOf", "default")}
        return structural({**alternative, **rest}, definitions, defaults)
    result = {key: value for key, value in schema.items() if key not in _DROPPED}
    if not defaults or isinstance(result.get("default"), dict | list | None):
        result.pop("default", None)
    if "const" in schema:
        result["enum"] = [schema["const"]]
    if "properties" in schema:
        result["properties"] = {
            name: structural(field, definitions, defaults) for name, field in schema["properties"].items()
        }
    if "items" in schema:
        result["items"] = structural(schema["items"], definitions, defaults)
    if isinstance(schema.get("additionalProperties"), dict):
        result["additionalProperties"] = structural(schema["additionalProperties"], definitions, defaults)
    if "patternProperties" in schema:
        ((pattern, values),) = schema["patternProperties"].items()
        result["additionalProperties"] = structural(values, definitions, defaults)
        if defaults:  # only the operator writes status, and the server limits the cost of all rules together
            rule = {"rule": f"self.all(key, key.matches('{pattern}'))", "message": f"every key must match {pattern}"}
            result["x-kubernetes-validations"] = [*schema.get("x-kubernetes-validations", []), rule]
    return result


def _open_api(model: type[ApiModel]) -> Schema:
    document = model.model_json_schema(by_alias=True)
    definitions = document.get("$defs", {})
    properties: dict[str, Schema] = {
        "apiVersion": {"type": "string"},
        "kind": {"type": "string"},
        "metadata": {"type": "object"},
    }
    for part in ("spec", "status"):
        if part in document["properties"]:
            properties[part] = structural(document["properties"][part], definitions, defaults=part == "spec")
    rules = document.get("x-kubernetes-validations")
    return {
        "type": "object",
        "description": document["description"],
        "required": ["spec"],
        "properties": properties,
        **({"x-kubernetes-validations": rules} if rules else {}),
    }


def crd(model: type[ApiModel], plural: str, short: str, columns: list[Column]) -> Schema:
    """The CustomResourceDefinition of one kind."""
    kind = model.__name__
    version: Schema = {
        "name": VERSION,
        "served": True,
        "storage": True,
        "schema": {"openAPIV3Schema": _open_api(model)},
        "additionalPrinterColumns": [
            {"name": name, "type": type_, "jsonPath": path, "priority": priority}
            for name, type_, path, priority in columns
        ],
    }
    if "status" in model.model_fields:
        version["subresources"] = {"status": {}}
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}", "labels": {"app.kubernetes.io/part-of": "plato-sas"}},
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "singular": kind.lower(),
                "shortNames": [short],
                "categories": ["plato"],
            },
            "versions": [version],
        },
    }


def documents() -> dict[str, str]:
    """The YAML text of every kind, by file name."""
    return {
        f"{plural}.yaml": "---\n# Generated from plato_sas.api by `make generate`; edit the models instead.\n"
        + yaml.safe_dump(crd(model, plural, short, columns), sort_keys=False, width=110)
        for model, plural, short, columns in KINDS
    }


def main() -> int:
    parser = argparse.ArgumentParser(description="Write the CustomResourceDefinitions as YAML.")
    parser.add_argument("folder", type=Path, help="folder to write to")
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file is out of date")
    arguments = parser.parse_args()
    folder: Path = arguments.folder
    if arguments.check:
        stale = [name for name, text in documents().items() if not _holds(folder / name, text)]
        for name in stale:
            print(f"{folder / name} is out of date: run `make generate`", file=sys.stderr)
        return 1 if stale else 0
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in documents().items():
        (folder / name).write_text(text)
    return 0


def _holds(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text() == text


if __name__ == "__main__":
    sys.exit(main())
