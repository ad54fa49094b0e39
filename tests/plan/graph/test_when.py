"""`when`: typed facts, absence, and errors that an author of pipelines can read."""

from typing import Any

import pytest

from plato_sas.api import ValueType
from plato_sas.plan.graph.when import ConditionInvalid, compile_condition

DECLARED = {
    "msap3-03": {"osc_flag": ValueType.BOOLEAN, "nu_max": ValueType.NUMBER, "modes": ValueType.INTEGER},
    "msap1": {"quality": ValueType.STRING, "ready": ValueType.BOOLEAN},
}


def value(expression: str, **facts: dict[str, Any]) -> bool | None:
    named = {name.replace("_", "-"): values for name, values in facts.items()}
    return compile_condition(expression, DECLARED).evaluate(named)


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("facts['msap3-03'].osc_flag", True),
        ('facts["msap3-03"].osc_flag', True),
        ("!facts['msap3-03'].osc_flag", False),
        ("facts [ 'msap3-03' ] . osc_flag", True),
        ("facts['msap3-03'].nu_max > 1000.0", True),
        ("facts['msap3-03'].modes >= 7", True),
        ("facts['msap1'].quality == 'good' && facts['msap3-03'].modes > 7", False),
        ("facts['msap1'].quality.startsWith('go')", True),
        ("true", True),
    ],
)
def test_an_expression_reads_facts_with_their_types(expression: str, expected: bool) -> None:
    facts = {"msap3_03": {"osc_flag": True, "nu_max": 2400.5, "modes": 7}, "msap1": {"quality": "good"}}
    assert value(expression, **facts) is expected


def test_a_number_without_a_fraction_is_still_a_number() -> None:
    """The API server writes 3.0 as 3."""
    assert value("facts['msap3-03'].nu_max > 2.5", msap3_03={"nu_max": 3}) is True


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("facts['msap3-03'].osc_flag", None),
        ("facts['msap3-03'].osc_flag && true", None),
        ("facts['msap3-03'].osc_flag || true", True),
        ("true || facts['msap3-03'].osc_flag", True),
        ("facts['msap3-03'].osc_flag && false", False),
        ("facts['msap1'].ready || facts['msap3-03'].osc_flag", True),
        ("facts['msap3-03'].nu_max > 1.0", None),
    ],
)
def test_an_absent_fact_matters_only_where_the_value_hangs_on_it(expression: str, expected: bool | None) -> None:
    assert value(expression, msap1={"ready": True}) is expected


def test_false_is_not_absent() -> None:
    assert value("facts['msap1'].ready", msap1={"ready": False}) is False


def test_the_steps_it_reads_are_known() -> None:
    condition = compile_condition("facts['msap1'].ready || facts['msap3-03'].modes > 2", DECLARED)
    assert condition.steps == {"msap1", "msap3-03"}
    assert condition.references == (("msap1", "ready"), ("msap3-03", "modes"))


@pytest.mark.parametrize("quote", ["'", '"'])
def test_text_inside_a_string_is_text(quote: str) -> None:
    inner = '"' if quote == "'" else "'"
    expression = f"facts['msap1'].quality == {quote}facts[{inner}x{inner}].y{quote}"
    condition = compile_condition(expression, DECLARED)
    assert condition.steps == {"msap1"}
    assert condition.evaluate({"msap1": {"quality": f"facts[{inner}x{inner}].y"}}) is True


def test_an_escaped_quote_does_not_end_a_string() -> None:
    condition = compile_condition(r"""facts['msap1'].quality == 'it\'s facts["x"].y'""", DECLARED)
    assert condition.evaluate({"msap1": {"quality": 'it\'s facts["x"].y'}}) is True


def test_facts_whose_names_look_alike_are_kept_apart() -> None:
    declared = {"a--b": {"c": ValueType.BOOLEAN}, "a": {"b__c": ValueType.BOOLEAN}, "a-b": {"c": ValueType.BOOLEAN}}
    condition = compile_condition("facts['a--b'].c && !facts['a'].b__c && !facts['a-b'].c", declared)
    assert condition.evaluate({"a--b": {"c": True}, "a": {"b__c": False}, "a-b": {"c": False}}) is True


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("facts['msap9'].x", "facts['msap9']: there is no such step upstream"),
        (
            "facts['msap3-03'].delta_nu",
            "facts['msap3-03'].delta_nu: its module declares no such fact (declared: modes, nu_max, osc_flag)",
        ),
        ("facts['msap3-03'].nu_max", "the expression must be of type bool"),
        ("1 + 1", "the expression must be of type bool"),
    ],
)
def test_an_error_says_what_is_wrong(expression: str, told: str) -> None:
    with pytest.raises(ConditionInvalid) as error:
        compile_condition(expression, DECLARED)
    assert str(error.value) == told


@pytest.mark.parametrize(
    "expression",
    [
        "facts['msap3-03'].osc_flag &&",
        "facts['msap3-03'].osc_flag == 'yes'",
        "facts['msap1'].quality > 3",
        "facts",
        "facts['msap3-03']",
        "facts.msap1.ready",
        "open('/etc/passwd')",
        "params.x",
        "",
        "((((",
    ],
)
def test_what_is_not_a_typed_expression_over_facts_is_refused(expression: str) -> None:
    with pytest.raises(ConditionInvalid) as error:
        compile_condition(expression, DECLARED)
    message = str(error.value)
    assert message
    assert "\n" not in message
    assert "INVALID_ARGUMENT" not in message
    assert "facts_" not in message, "the author never wrote that name"
