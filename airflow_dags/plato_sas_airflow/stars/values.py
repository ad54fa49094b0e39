"""Converts arguments of DAG authors and templates into what the resources need. Pure.

A template renders to text, so a number, a flag, a list or a mapping may arrive as text.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from plato_sas_airflow.errors import BatchError

Parameters = dict[str, dict[str, int | str]]
_TRUE, _FALSE = ("true", "yes", "1"), ("false", "no", "0", "", "none")


def text_of(field: str, value: object) -> str:
    """A non-empty text. Raises BatchError."""
    if not isinstance(value, str) or not value:
        raise BatchError(f"{field}: expected a non-empty text, not {value!r}")
    return value


def optional_text(field: str, value: object) -> str | None:
    """A text, or None for None and the empty text, which a template renders for nothing. Raises BatchError."""
    return None if value is None or value == "" else text_of(field, value)


def integer_of(field: str, value: object) -> int:
    """Raises BatchError."""
    try:
        if isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool)):
            return int(value)
    except ValueError:
        pass
    raise BatchError(f"{field}: expected a whole number, not {value!r}")


def flag_of(field: str, value: object) -> bool:
    """Raises BatchError."""
    if isinstance(value, bool):
        return value
    text = "" if value is None else str(value).strip().lower()
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    raise BatchError(f"{field}: expected true or false, not {value!r}")


def fraction_of(field: str, value: object) -> float:
    """A number from 0 to 1. Raises BatchError."""
    try:
        if isinstance(value, str | int | float) and not isinstance(value, bool) and 0 <= float(value) <= 1:
            return float(value)
    except ValueError:
        pass
    raise BatchError(f"{field}: expected a number from 0 to 1, not {value!r}")


def positive_seconds(field: str, value: object) -> float:
    """Raises BatchError."""
    if isinstance(value, int | float) and not isinstance(value, bool) and value > 0:
        return float(value)
    raise BatchError(f"{field}: expected a number of seconds above 0, not {value!r}")


def span_of(field: str, value: object) -> timedelta:
    """Raises BatchError."""
    if isinstance(value, timedelta) and value >= timedelta(0):
        return value
    raise BatchError(f"{field}: expected a timedelta of at least 0, not {value!r}")


def optional_span(field: str, value: object) -> timedelta | None:
    """Raises BatchError."""
    return None if value is None else span_of(field, value)


def decoded(field: str, value: object) -> object:
    """The value, decoded from JSON if it is a text. Raises BatchError."""
    if not isinstance(value, str):
        return value
    try:
        return json.loads(value)
    except ValueError as error:
        raise BatchError(f"{field}: {value[:80]!r} is not JSON") from error


def names_of(field: str, value: object) -> list[str]:
    """A list of names, or its JSON text; empty for None, `null` and the empty text. Raises BatchError."""
    found = None if value == "" else decoded(field, value)
    if found is None:
        return []
    if isinstance(found, str | Mapping) or not isinstance(found, Iterable):
        raise BatchError(f"{field}: expected a list of names, not {found!r}")
    return [text_of(field, one) for one in found]


def overlaid(parameters: Mapping[str, Mapping[str, Any]], others: Mapping[str, Mapping[str, Any]]) -> Parameters:
    """Parameters with others merged into them, by step and name."""
    made = {step: dict(values) for step, values in parameters.items()}
    for step, values in others.items():
        made[step] = {**made.get(step, {}), **values}
    return made


def parameters_of(field: str, value: object) -> Parameters:
    """Per step, values of its module's parameters; or this as JSON text. Raises BatchError.

    A spec has only whole numbers and texts; other numbers and flags are converted to text.
    """
    if value is None or value == "":
        return {}
    found = _mapping(field, decoded(field, value))
    return {
        step: {name: _scalar(f"{field}.{step}.{name}", one) for name, one in _mapping(f"{field}.{step}", given).items()}
        for step, given in found.items()
        if given
    }


def inputs_of(field: str, value: object) -> dict[str, dict[str, Any]]:
    """Per external product, where its file is; or this as JSON text. Raises BatchError."""
    if value is None or value == "":
        return {}
    found = _mapping(field, decoded(field, value))
    return {name: dict(_mapping(f"{field}.{name}", one)) for name, one in found.items()}


def slice_of(field: str, value: object) -> tuple[int, int] | None:
    """`[start, stop)`. Raises BatchError."""
    if value is None or value == "":
        return None
    found = decoded(field, value)
    if isinstance(found, Sequence) and not isinstance(found, str) and len(found) == 2:
        start, stop = (integer_of(field, one) for one in found)
        if 0 <= start < stop:
            return start, stop
    raise BatchError(f"{field}: expected [start, stop] with 0 <= start < stop, not {value!r}")


def _mapping(field: str, value: object) -> Mapping[str, Any]:
    if isinstance(value, Mapping):
        return value
    raise BatchError(f"{field}: expected a mapping, not {value!r}")


def _scalar(field: str, value: object) -> int | str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(value)
    if isinstance(value, int | str):
        return value
    raise BatchError(f"{field}: expected a number, a text or a flag, not {value!r}")
