"""Parameters: written as strings or integers, read typed and within their bounds."""

from typing import Any

import pytest

from plato_sas.api import ParameterDeclaration, ValueInvalid
from plato_sas.plan.graph.values import parse_value, resolve


def parameter(kind: str, **fields: Any) -> ParameterDeclaration:
    default = {"boolean": "true", "string": "acf"}.get(kind, 1)
    return ParameterDeclaration.model_validate({"name": "x", "type": kind, "default": default} | fields)


@pytest.mark.parametrize(
    ("kind", "written", "expected"),
    [
        ("boolean", "true", True),
        ("boolean", "false", False),
        ("integer", 3, 3),
        ("integer", "-3", -3),
        ("integer", "+07", 7),
        ("integer", "9223372036854775807", 2**63 - 1),
        ("number", "3.5", 3.5),
        ("number", 3, 3.0),
        ("number", "1e-3", 0.001),
        ("string", "007", "007"),
        ("string", 7, "7"),
        ("string", "", ""),
    ],
)
def test_a_value_gets_its_declared_type(kind: str, written: int | str, expected: object) -> None:
    value = parse_value(parameter(kind), written)
    assert value == expected
    assert type(value) is type(expected)


@pytest.mark.parametrize(
    ("kind", "written"),
    [
        ("boolean", "yes"),
        ("boolean", 1),
        ("boolean", "True"),
        ("integer", "3.5"),
        ("integer", "three"),
        ("integer", ""),
        ("integer", "1_000"),
        ("integer", " 1"),
        ("integer", "\u0663"),
        ("integer", "9223372036854775808"),
        ("integer", "1" * 256),
        ("number", "1_0.5"),
        ("number", "0x1p3"),
        ("number", "9" * 200 + "e200"),
        ("number", "nan"),
        ("number", "inf"),
        ("number", "1e999"),
        ("number", "3,5"),
    ],
)
def test_a_value_of_another_type_is_refused(kind: str, written: int | str) -> None:
    with pytest.raises(ValueInvalid, match=f"is not of type {kind}"):
        parse_value(parameter(kind), written)


def test_bounds_are_inclusive() -> None:
    bounded = parameter("number", minimum="0.5", maximum=2)
    assert parse_value(bounded, "0.5") == 0.5
    assert parse_value(bounded, 2) == 2.0
    with pytest.raises(ValueInvalid, match=r"'0\.4' must be at least 0\.5"):
        parse_value(bounded, "0.4")
    with pytest.raises(ValueInvalid, match=r"'2\.1' must be at most 2"):
        parse_value(bounded, "2.1")


def test_an_enumeration_lists_what_is_allowed() -> None:
    method = parameter("string", enum=["acf", "ps"])
    assert parse_value(method, "acf") == "acf"
    with pytest.raises(ValueInvalid, match="'wavelet' must be one of acf, ps"):
        parse_value(method, "wavelet")


def test_later_layers_override_earlier_ones() -> None:
    declared = {
        name: ParameterDeclaration.model_validate({"name": name, "type": "integer", "default": 1}) for name in "abc"
    }
    assert resolve(declared, {"b": 2, "c": 2}, {"c": "3"}) == {"a": 1, "b": 2, "c": 3}
