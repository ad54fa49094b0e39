"""`when`: expressions from a grammar, over facts of any value."""

from random import Random
from typing import Any

from e2e.fuzz import hostile
from e2e.fuzz.tally import sentence
from plato_sas.api import ValueType
from plato_sas.plan.graph.when import ConditionInvalid, EvaluationFailed, compile_condition

_DECLARED = {
    "a": {"flag": ValueType.BOOLEAN, "modes": ValueType.INTEGER, "nu": ValueType.NUMBER, "kind": ValueType.STRING},
    "b-c": {"flag": ValueType.BOOLEAN},
}
_VALUES: dict[ValueType, tuple[Any, ...]] = {
    ValueType.BOOLEAN: (True, False),
    ValueType.INTEGER: (0, 1, -1, 2**63 - 1, -(2**63)),
    ValueType.NUMBER: (0.0, 1.5, -1e308, 3),
    ValueType.STRING: ("", "quiet", "(a+)+$", "µHz", "a" * 128, "[", "\udce9", "\x00"),
}


def _boolean(luck: Random, depth: int) -> str:
    if depth <= 0:
        return luck.choice(("facts['a'].flag", 'facts["b-c"].flag', "true", "false"))
    left, right = _boolean(luck, depth - 1), _boolean(luck, depth - 1)
    match luck.randrange(7):
        case 0:
            return f"({left} && {right})"
        case 1:
            return f"({left} || {right})"
        case 2:
            return f"!{left}"
        case 3:
            comparison = luck.choice(("<", ">=", "==", "!="))
            return f"({_integer(luck, depth - 1)} {comparison} {_integer(luck, depth - 1)})"
        case 4:
            return f"(facts['a'].nu {luck.choice('<>')} {luck.choice(('0.0', '1.5', '1e308', '0'))})"
        case 5:
            pattern = luck.choice(("'^q'", "'('", "'(a+)+$'", "facts['a'].kind"))
            return f"facts['a'].kind.matches({pattern})"
        case _:
            return f"({left} ? {right} : {left})"


def _integer(luck: Random, depth: int) -> str:
    if depth <= 0:
        return luck.choice(("facts['a'].modes", "0", "1", "9223372036854775807", "facts['a'].kind.size()"))
    operation = luck.choice(("+", "-", "*", "/", "%"))
    return f"({_integer(luck, depth - 1)} {operation} {_integer(luck, depth - 1)})"


def condition(luck: Random) -> str:
    """An expression is refused by a sentence, or has a verdict for every set of facts."""
    text = _boolean(luck, luck.randrange(5))
    if luck.random() < 0.2:
        at = luck.randrange(len(text) + 1)
        text = text[:at] + luck.choice(hostile.STRINGS)[:80] + text[at:]
    try:
        found = compile_condition(text, _DECLARED)
    except ConditionInvalid as refusal:
        return sentence(refusal, "refused")
    facts = {
        step: {name: luck.choice(_VALUES[kind]) for name, kind in declared.items() if luck.random() < 0.8}
        for step, declared in _DECLARED.items()
    }
    verdict = found.evaluate(facts)
    if isinstance(verdict, EvaluationFailed):
        return sentence(verdict.message, "failed")
    return {True: "true", False: "false", None: "absent"}[verdict]


KINDS = {"when": condition}
