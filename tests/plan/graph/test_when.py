"""`when`: typed facts, absence, and errors that an author of pipelines can read."""

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from plato_sas.api import ValueType
from plato_sas.plan.graph.when import ConditionInvalid, EvaluationFailed, compile_condition

DECLARED = {
    "msap3-03": {"osc_flag": ValueType.BOOLEAN, "nu_max": ValueType.NUMBER, "modes": ValueType.INTEGER},
    "msap1": {"quality": ValueType.STRING, "ready": ValueType.BOOLEAN},
}


def value(expression: str, **facts: dict[str, Any]) -> bool | EvaluationFailed | None:
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


@pytest.mark.parametrize(
    ("expression", "facts", "told"),
    [
        ("1 / facts['msap3-03'].modes == 1", {"modes": 0}, "divide by zero"),
        ("7 % facts['msap3-03'].modes == 1", {"modes": 0}, "modulus by zero"),
        ("facts['msap3-03'].modes + 9223372036854775807 > 0", {"modes": 1}, "integer overflow"),
        ("[1, 2][facts['msap3-03'].modes] > 1", {"modes": 7}, "Index error: index=7 size=2"),
        ("facts['msap3-03'].modes > 1", {"modes": 2**70}, "facts['msap3-03'].modes does not fit into 64 bits"),
        ("facts['msap3-03'].modes > 1", {"modes": True}, "facts['msap3-03'].modes is not of type integer"),
        ("facts['msap3-03'].osc_flag", {"osc_flag": 1}, "facts['msap3-03'].osc_flag is not of type boolean"),
        ("facts['msap3-03'].nu_max > 1.0", {"nu_max": float("nan")}, "facts['msap3-03'].nu_max is not a finite number"),
        ("facts['msap3-03'].nu_max > 1.0", {"nu_max": 10**400}, "facts['msap3-03'].nu_max is not a finite number"),
        ("facts['msap3-03'].nu_max > 1.0", {"nu_max": [[1.0]]}, "facts['msap3-03'].nu_max is not of type number"),
    ],
)
def test_a_condition_without_a_value_says_why(expression: str, facts: dict[str, Any], told: str) -> None:
    assert value(expression, msap3_03=facts) == EvaluationFailed(told)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("\ud800", "facts['msap1'].quality contains half of a surrogate pair, which is not Unicode"),
        ("a\0b", "facts['msap1'].quality contains a NUL"),
        ("(\x1b[31m", "invalid regular expression: missing ]: [31m"),
        ('No value with name "x" found in Activation(', "invalid regular expression: missing ): "),
    ],
)
def test_a_text_that_cel_cannot_take_is_no_absent_fact(text: str, told: str) -> None:
    result = value("facts['msap1'].quality.matches(facts['msap1'].quality)", msap1={"quality": text})
    assert isinstance(result, EvaluationFailed)
    assert result.message.startswith(told)
    assert result.message.isprintable()


def test_an_unusable_fact_matters_only_where_the_value_hangs_on_it() -> None:
    expression = "facts['msap1'].ready || facts['msap1'].quality == 'good'"
    assert value(expression, msap1={"ready": True, "quality": "\ud800"}) is True


def test_a_loop_that_takes_too_long_has_no_value() -> None:
    ten = str(list(range(10)))
    loop = "".join(f"{ten}.all({name}, " for name in "abcdef") + "facts['msap1'].ready" + ")" * 6
    assert value(loop, msap1={"ready": True}) == EvaluationFailed("Iteration budget exceeded")


ANYTHING: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters()),
    lambda one: st.lists(one) | st.dictionaries(st.text(), one),
)


# The first text of all Unicode is slow on a busy machine.
@settings(suppress_health_check=[HealthCheck.too_slow])
@given(st.dictionaries(st.sampled_from(["osc_flag", "nu_max", "modes", "quality", "ready"]), ANYTHING))
def test_whatever_the_facts_are_there_is_an_answer(facts: dict[str, Any]) -> None:
    expression = (
        "facts['msap3-03'].osc_flag && 1 / facts['msap3-03'].modes < 2 && facts['msap3-03'].nu_max * 2.0 > 1.0 || "
        "facts['msap1'].ready && 'x'.matches(facts['msap1'].quality)"
    )
    answer = compile_condition(expression, DECLARED).evaluate({"msap3-03": facts, "msap1": facts})
    assert answer is None or isinstance(answer, bool | EvaluationFailed)


def test_facts_nested_a_thousand_deep_are_of_the_wrong_type() -> None:
    deep: list[Any] = []
    for _ in range(1000):
        deep = [deep]
    result = value("facts['msap1'].quality == 'x'", msap1={"quality": deep})
    assert result == EvaluationFailed("facts['msap1'].quality is not of type string")


@pytest.mark.parametrize(
    ("expression", "told"),
    [
        ("facts['msap3-03'].modes / 0 == 1", "divide by zero"),
        ("facts['msap3-03'].modes %00 == 1", "divide by zero"),
        ("1 / (2 - 2) == 1", "divide by zero"),
        ("facts['msap1'].quality.matches('(')", "invalid regular expression: missing ): ("),
        ('facts[\'msap1\'].quality.matches( r"""[""" )', "invalid regular expression: missing ]: ["),
        ("matches(facts['msap1'].quality, \"(\")", "invalid regular expression: missing ): ("),
        ("true\0 && facts['msap1'].ready", "the expression contains a NUL"),
    ],
)
def test_what_can_only_fail_is_refused(expression: str, told: str) -> None:
    with pytest.raises(ConditionInvalid) as error:
        compile_condition(expression, DECLARED)
    assert str(error.value) == told


@pytest.mark.parametrize(
    "expression",
    [
        "facts['msap3-03'].nu_max / 0.5 > 1.0",
        "facts['msap3-03'].modes / 0x10 > 1 || facts['msap3-03'].modes / 10 > 1",
        "facts['msap1'].quality == '1 / 0' || facts['msap1'].quality == \"x.matches('(')\"",
        "facts['msap1'].quality.matches(r'^(a|b)\\.$')",
        "facts['msap1'].ready // or facts['no'].such, 1 / 0",
        "facts['msap1'].quality == '''facts['no'].such''' || facts['msap1'].quality == r'\\d'",
    ],
)
def test_what_only_looks_like_a_mistake_is_taken(expression: str) -> None:
    assert compile_condition(expression, DECLARED).expression == expression


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
        (
            "facts['msap3-03'].modes > 0.0",
            "found no matching overload for '_>_' applied to '(int, double)' "
            "(beside facts['msap3-03'].modes, an integer, write 3 and not 3.0)",
        ),
        (
            "0 < facts['msap3-03'].nu_max",
            "found no matching overload for '_<_' applied to '(int, double)' "
            "(beside facts['msap3-03'].nu_max, a number, write 3.0 and not 3)",
        ),
        (
            "facts['msap3-03'].modes < facts['msap3-03'].nu_max",
            "found no matching overload for '_<_' applied to '(int, double)' "
            "(beside facts['msap3-03'].modes, an integer, write 3 and not 3.0; "
            "beside facts['msap3-03'].nu_max, a number, write 3.0 and not 3; "
            "double(facts['msap3-03'].modes) is a number)",
        ),
        ("(" * 40 + "true" + ")" * 40, "Expression recursion limit exceeded. limit: 32"),
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
