"""Values as a spec has them, strings or integers, and as a module reads them: typed."""

import math
import re
from enum import StrEnum

from plato_sas.numbers import MAX_INTEGER

Value = bool | int | float | str

# Python's int and float take more: 1_000, digits of other scripts, blanks around.
_INTEGER = "[+-]?[0-9]{1,19}"
_NUMBER = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,3})?"


class ValueType(StrEnum):
    """The type of a fact, a parameter or a value of a product."""

    BOOLEAN = "boolean"
    INTEGER = "integer"
    NUMBER = "number"
    STRING = "string"


class ValueInvalid(ValueError):
    """A value does not fit its declaration; the message says what would."""


def typed(kind: ValueType, written: int | str) -> Value:
    """The value of this type that was written. Raises ValueInvalid."""
    text = str(written)
    match kind:
        case ValueType.BOOLEAN if text in ("true", "false"):
            return text == "true"
        case ValueType.INTEGER if re.fullmatch(_INTEGER, text) and abs(int(text)) <= MAX_INTEGER:
            return int(text)
        case ValueType.NUMBER if re.fullmatch(_NUMBER, text) and math.isfinite(float(text)):
            return float(text)
        case ValueType.STRING:
            return text
    raise ValueInvalid(f"{written!r} is not of type {kind.value}")
