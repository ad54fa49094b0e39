"""Objects made from the CRDs' own schemas: valid as far as a schema tells, before anything is spoiled."""

import re
from functools import cache
from random import Random
from typing import Any

from plato_sas.api.crd import KINDS, crd

Schema = dict[str, Any]
# A form with a message of its own is a rule instead of a pattern.
_PATTERN_RULE = re.compile(r"self\.matches\(r'(\^.*?\$)'\)")
_OPTIONAL = 0.35  # of optional fields are there
_MOST = 3  # items of a list, keys of a map
# One of these fits each pattern of the API.
_TEXTS = (
    "a", "b1", "msap1", "A", "DP1", "OUT", "x1", "5m", "1h", "10s", "100m", "64Mi", "2Gi", "1", "out.h5",
    "{star}/lc.h5",    "q1", "0" * 64, "1.0.0", "uHz", "/PRODUCTS/value", "2030-01-01T00:00:00Z",
    "registry/m@sha256:" + "d" * 64, "localhost/m:1",
)  # fmt: skip


@cache
def spec_of(kind: str) -> Schema:
    """The schema of a kind's spec."""
    for model, plural, short, columns in KINDS:
        if model.__name__ == kind:
            schema = crd(model, plural, short, columns)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
            found: Schema = schema["properties"]["spec"]
            return found
    raise KeyError(kind)


def made(schema: Schema, luck: Random) -> Any:
    """A value for a structural schema."""
    if "enum" in schema:
        return luck.choice(schema["enum"])
    if schema.get("x-kubernetes-int-or-string"):
        return luck.choice((1, 7, "3.5", "a"))
    match schema.get("type"):
        case "object":
            return _object(schema, luck)
        case "array":
            number = luck.randint(schema.get("minItems", 0), _MOST)
            return [made(schema["items"], luck) for _ in range(max(number, schema.get("minItems", 0)))]
        case "integer" | "number":
            return luck.randint(int(schema.get("minimum", 0)), int(min(schema.get("maximum", 100), 10_000)))
        case "boolean":
            return luck.random() < 0.5
        case "string":
            return _text(schema, luck)
    return luck.choice((1, "a", True, 0.5))


def _object(schema: Schema, luck: Random) -> dict[str, Any]:
    if "properties" in schema:
        required = schema.get("required", [])
        return {
            name: made(field, luck)
            for name, field in schema["properties"].items()
            if name in required or luck.random() < _OPTIONAL
        }
    values = schema.get("additionalProperties")
    if not isinstance(values, dict):
        return {}
    return {luck.choice(("a", "b", "DP1", "msap1")): made(values, luck) for _ in range(luck.randint(0, _MOST))}


def _text(schema: Schema, luck: Random) -> str:
    longest = schema.get("maxLength", 1000)
    rules = " ".join(one["rule"] for one in schema.get("x-kubernetes-validations", []))
    patterns = [schema.get("pattern", ""), *_PATTERN_RULE.findall(rules)]
    fitting = [one for one in _TEXTS if len(one) <= longest and all(re.search(each, one) for each in patterns)]
    return luck.choice(fitting) if fitting else "a"
