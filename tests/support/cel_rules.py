"""The CEL rules of a CRD, evaluated as the API server does; without its other checks and without rules on a change."""

import re
from collections.abc import Iterator
from typing import Any

from cel_expr_python import cel

from plato_sas.api import amount

Schema = dict[str, Any]

_QUANTITY = re.compile(r"[0-9.]+(m|k|M|G|T|Ki|Mi|Gi|Ti)?")
_FORM = re.compile(r"self\.matches\(r'(.*)'\)")
_STRING, _DOUBLE, _INT = cel.Type.STRING, cel.Type.DOUBLE, cel.Type.INT


def refusals(schema: Schema, value: Any, path: str) -> Iterator[str]:
    """`path: message` of every rule that the value breaks, its parts' first."""
    if isinstance(value, dict):
        for name, field in schema.get("properties", {}).items():
            if name in value:
                yield from refusals(field, value[name], f"{path}.{name}")
        for name, one in value.items() if "additionalProperties" in schema else ():
            yield from refusals(schema["additionalProperties"], one, f"{path}[{name}]")
    for at, one in enumerate(value if isinstance(value, list) else ()):
        yield from refusals(schema["items"], one, f"{path}[{at}]")
    for rule in schema.get("x-kubernetes-validations", []):
        if "oldSelf" not in rule["rule"] and not _holds(rule["rule"], value):
            yield f"{path}: {rule['message']}"


def with_defaults(schema: Schema, value: Any) -> Any:
    """The value with the schema's defaults, as the API server fills them in before it checks anything."""
    if isinstance(value, list):
        return [with_defaults(schema["items"], one) for one in value]
    if not isinstance(value, dict):
        return value
    if "additionalProperties" in schema:
        return {name: with_defaults(schema["additionalProperties"], one) for name, one in value.items()}
    fields = schema["properties"]
    filled = {name: field["default"] for name, field in fields.items() if "default" in field} | value
    return {name: with_defaults(fields[name], one) for name, one in filled.items()}


def _holds(rule: str, value: Any) -> bool:
    form = _FORM.fullmatch(rule)
    if form is not None:  # the Python binding of CEL cuts a string at a NUL
        return re.search(form[1].replace("$", r"\Z"), value) is not None
    result = _environment().compile(rule).eval(data={"self": value})
    return result.type() == cel.Type.BOOL and bool(result.value())


def _environment() -> Any:
    """Kubernetes' own functions for quantities are not part of CEL: here a quantity is its number."""
    declared = [
        cel.FunctionDecl("isQuantity", [cel.Overload("is_quantity", cel.Type.BOOL, [_STRING])]),
        cel.FunctionDecl("quantity", [cel.Overload("quantity", _DOUBLE, [_STRING])]),
        cel.FunctionDecl("compareTo", [cel.Overload("compare_to", _INT, [_DOUBLE, _DOUBLE], is_member=True)]),
    ]
    functions = {
        "is_quantity": lambda text: _QUANTITY.fullmatch(text) is not None,
        "quantity": amount,
        "compare_to": lambda one, other: (one > other) - (one < other),
    }
    return cel.NewEnv(variables={"self": cel.Type.DYN}, functions=declared, function_impls=functions)
