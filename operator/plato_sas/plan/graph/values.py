"""Typed values of parameters: a spec has strings or integers, a module reads typed values."""

import math
from collections.abc import Mapping

from plato_sas.api import ParameterDeclaration, ValueType

Value = bool | int | float | str


class ValueInvalid(ValueError):
    """A value does not fit its declaration; the message says what would."""


def parse_value(declaration: ParameterDeclaration, written: int | str) -> Value:
    """The typed value of a parameter. Raises ValueInvalid."""
    value = _typed(declaration.type, written)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if declaration.minimum is not None and value < _number(declaration.minimum):
            raise ValueInvalid(f"{written!r} must be at least {declaration.minimum}")
        if declaration.maximum is not None and value > _number(declaration.maximum):
            raise ValueInvalid(f"{written!r} must be at most {declaration.maximum}")
    if declaration.enum is not None and value not in declaration.enum:
        raise ValueInvalid(f"{written!r} must be one of {', '.join(declaration.enum)}")
    return value


def _finite(number: float) -> float:
    if not math.isfinite(number):
        raise ValueError(number)
    return number


def _number(written: int | str) -> float:
    return float(_typed(ValueType.NUMBER, written))


def _typed(kind: ValueType, written: int | str) -> Value:
    text = str(written).strip()
    try:
        match kind:
            case ValueType.BOOLEAN:
                return {"true": True, "false": False}[text]
            case ValueType.INTEGER:
                return int(text)
            case ValueType.NUMBER:
                return _finite(float(text))
            case ValueType.STRING:
                return str(written)
    except (KeyError, ValueError):
        raise ValueInvalid(f"{written!r} is not of type {kind.value}") from None


def resolve(declarations: Mapping[str, ParameterDeclaration], *layers: Mapping[str, int | str]) -> dict[str, Value]:
    """Every declared parameter's value: its default, overridden by each layer in turn. Raises ValueInvalid."""
    written: dict[str, int | str] = {name: one.default for name, one in declarations.items()}
    for layer in layers:
        written |= layer
    return {name: parse_value(declarations[name], value) for name, value in written.items()}
