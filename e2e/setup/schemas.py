"""JSON schemas for kubeconform, made from the API server's own OpenAPI document and from `crds/`.

Run as `python -m e2e.setup.schemas`: asks the cluster of `.local/kubeconfig` and writes `.local/schemas`.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

from e2e.layout import BIN, KUBECONFIG, LOCAL, REPOSITORY

SCHEMAS = LOCAL / "schemas"
LOCATION = str(SCHEMAS / "{{ .ResourceKind }}{{ .KindSuffix }}.json")
"""kubeconform's -schema-location."""

_CRDS = REPOSITORY / "crds"
_REFERENCE = "#/definitions/"
_META = "io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta"
_ANY_NUMBER = {"io.k8s.apimachinery.pkg.api.resource.Quantity"}

Schema = dict[str, Any]


class SchemasUnavailable(Exception):
    """The API server does not answer, or not with an OpenAPI document."""


def open_api() -> Schema:
    """The cluster's OpenAPI v2 document. Raises SchemasUnavailable."""
    command = [
        str(BIN / "kubectl"),
        "--kubeconfig",
        str(KUBECONFIG),
        "--request-timeout=30s",
        "get",
        "--raw",
        "/openapi/v2",
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise SchemasUnavailable(f"the cluster of {KUBECONFIG}: {done.stderr.strip()}")
    document: Schema = json.loads(done.stdout)
    if "definitions" not in document:
        raise SchemasUnavailable(f"the cluster of {KUBECONFIG}: /openapi/v2 has no definitions")
    return document


def file_name(group: str, version: str, kind: str) -> str:
    """kubeconform's name of a kind's schema: of the group, only what is before its first dot."""
    suffix = "-".join(part for part in (group.split(".")[0], version) if part)
    return f"{kind.lower()}-{suffix}.json"


def strict(schema: Any) -> Any:
    """A schema in JSON Schema's own terms, which admits no field that it does not name.

    Kubernetes' extensions are translated: int-or-string, nullable and preserve-unknown-fields.
    """
    if isinstance(schema, list):
        return [strict(one) for one in schema]
    if not isinstance(schema, Mapping):
        return schema
    if isinstance(schema.get("$ref"), str):
        return {"$ref": schema["$ref"]}
    if schema.get("x-kubernetes-int-or-string") or schema.get("format") == "int-or-string":
        return {"type": ["integer", "string"]}
    result: Schema = {}
    for key, value in schema.items():
        if key == "properties":
            result[key] = {name: strict(one) for name, one in value.items()}
        elif key in ("items", "additionalProperties", "allOf", "anyOf", "oneOf", "not"):
            result[key] = strict(value)
        elif key in ("type", "required", "enum", "pattern") or key.startswith(("min", "max")):
            result[key] = value
    if schema.get("nullable"):
        result["type"] = [result["type"], "null"]
    if "properties" in result and not schema.get("x-kubernetes-preserve-unknown-fields"):
        result.setdefault("additionalProperties", False)
    return result


def _definitions(document: Schema) -> dict[str, Schema]:
    definitions = {name: strict(one) for name, one in document["definitions"].items()}
    for name in _ANY_NUMBER:
        definitions[name] = {"type": ["string", "number"]}
    return definitions


def _references(schema: Any) -> Iterator[str]:
    if isinstance(schema, list):
        for one in schema:
            yield from _references(one)
    elif isinstance(schema, dict):
        for key, value in schema.items():
            if key == "$ref" and isinstance(value, str):
                yield value.removeprefix(_REFERENCE)
            else:
                yield from _references(value)


def _complete(schema: Schema, definitions: Mapping[str, Schema]) -> Schema:
    """The schema with every definition that it needs, directly or not."""
    needed: dict[str, Schema] = {}
    waiting = list(_references(schema))
    while waiting:
        name = waiting.pop()
        if name not in needed:
            needed[name] = definitions[name]
            waiting += _references(definitions[name])
    return {**schema, "definitions": needed} if needed else schema


def _identified(schema: Schema, group: str, version: str, kind: str) -> Schema:
    properties = {
        **schema.get("properties", {}),
        "apiVersion": {"enum": [f"{group}/{version}" if group else version]},
        "kind": {"enum": [kind]},
    }
    required = sorted({*schema.get("required", []), "apiVersion", "kind"})
    return {**schema, "properties": properties, "required": required}


def built_in(document: Schema) -> dict[str, Schema]:
    """File name to schema, for every kind in an OpenAPI v2 document."""
    definitions = _definitions(document)
    result = {}
    for name, definition in document["definitions"].items():
        kinds = definition.get("x-kubernetes-group-version-kind", [])
        if len(kinds) != 1:
            continue  # options of requests and watch events belong to every group
        group, version, kind = kinds[0]["group"], kinds[0]["version"], kinds[0]["kind"]
        schema = _identified(definitions[name], group, version, kind)
        result[file_name(group, version, kind)] = _complete(schema, definitions)
    return result


def custom(crd: Schema, document: Schema) -> dict[str, Schema]:
    """File name to schema, for every version of a CustomResourceDefinition; its CEL rules are left out."""
    definitions = _definitions(document)
    group, kind = crd["spec"]["group"], crd["spec"]["names"]["kind"]
    result = {}
    for version in crd["spec"]["versions"]:
        schema = strict(version["schema"]["openAPIV3Schema"])
        schema["properties"]["metadata"] = {"$ref": _REFERENCE + _META}
        schema = _identified(schema, group, version["name"], kind)
        result[file_name(group, version["name"], kind)] = _complete(schema, definitions)
    return result


def write(folder: Path = SCHEMAS) -> int:
    """Write all schemas, in place of those that are there. Returns their number. Raises SchemasUnavailable."""
    document = open_api()
    schemas = built_in(document)
    for path in sorted(_CRDS.glob("*.yaml")):
        schemas |= custom(yaml.safe_load(path.read_text()), document)
    folder.mkdir(parents=True, exist_ok=True)
    for old in folder.glob("*.json"):
        if old.name not in schemas:
            old.unlink()
    for name, schema in schemas.items():
        (folder / name).write_text(json.dumps({"$schema": "http://json-schema.org/draft-07/schema#", **schema}))
    return len(schemas)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m e2e.setup.schemas", description=__doc__)
    parser.parse_args()
    try:
        number = write()
    except SchemasUnavailable as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(f"{number} schemas in {SCHEMAS}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
