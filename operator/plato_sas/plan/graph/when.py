"""`when`: a CEL expression over facts of upstream steps, type-checked before any star runs.

A pipeline's author writes `facts['step'].fact`. Since a CEL map holds values of one type, this could not be checked as
written. Each access is therefore replaced by a variable of the fact's declared type, which the CEL reference
implementation checks; any other use of `facts` is an undeclared name.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from cel_expr_python import cel

from plato_sas.api import ValueType

# Match string literals too, so that nothing inside one counts as an access.
_TOKEN = re.compile(
    r"""(?P<access>\bfacts\s*\[\s*(?P<quote>['"])(?P<step>[a-z0-9-]+)(?P=quote)\s*\]\s*\.\s*(?P<fact>[a-z][a-z0-9_]*))"""
    r"""|(?P<literal>'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
)

_TYPES = {
    ValueType.BOOLEAN: cel.Type.BOOL,
    ValueType.INTEGER: cel.Type.INT,
    ValueType.NUMBER: cel.Type.DOUBLE,
    ValueType.STRING: cel.Type.STRING,
}


class ConditionInvalid(ValueError):
    """The expression is not CEL, is not of type bool, or names a fact that does not exist."""


class ConditionFailed(ValueError):
    """The expression has no value for these facts, although none is absent: a division by zero, for example."""


# How the reference implementation says that a variable has no value.
_ABSENT = "No value with name"


@dataclass(frozen=True)
class Condition:
    """A checked expression. `references` are the (step, fact) pairs it reads."""

    expression: str
    references: tuple[tuple[str, str], ...]
    _program: Any
    _types: Mapping[str, ValueType]

    @property
    def steps(self) -> frozenset[str]:
        return frozenset(step for step, _ in self.references)

    def evaluate(self, facts: Mapping[str, Mapping[str, Any]]) -> bool | None:
        """Its value; None if it depends on an absent fact (`true || absent` is true, as in CEL).

        Raises ConditionFailed.
        """
        data: dict[str, Any] = {}
        for step, fact in self.references:
            value = facts.get(step, {}).get(fact)
            if isinstance(value, str) and not _encodable(value):
                raise ConditionFailed(f"facts['{step}'].{fact} has a character that UTF-8 cannot hold")
            if value is not None:
                name = _variable(step, fact)
                data[name] = float(value) if self._types[name] is ValueType.NUMBER else value
        try:
            result = self._program.eval(data=data)
        except (RuntimeError, TypeError, ValueError, OverflowError) as error:
            # A loop over its budget, or a number that does not fit.
            raise ConditionFailed(_readable(str(error))) from None
        if result.type() == cel.Type.BOOL:
            return bool(result.value())
        if _ABSENT in str(result.value()):
            return None
        raise ConditionFailed(_readable(str(result.value())))


def _encodable(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _variable(step: str, fact: str) -> str:
    # D replaces the dash: step names have no capitals, so no two facts share a variable.
    return f"facts_{step.replace('-', 'D')}__{fact}"


def compile_condition(expression: str, declared: Mapping[str, Mapping[str, ValueType]]) -> Condition:
    """Check an expression against the facts declared by each step's module. Raises ConditionInvalid."""
    references: dict[tuple[str, str], None] = {}

    def replace(match: re.Match[str]) -> str:
        if match["literal"] is not None:
            return match["literal"]
        step, fact = match["step"], match["fact"]
        if step not in declared:
            raise ConditionInvalid(f"facts[{step!r}]: there is no such step upstream")
        if fact not in declared[step]:
            known = ", ".join(sorted(declared[step])) or "none"
            raise ConditionInvalid(f"facts[{step!r}].{fact}: its module declares no such fact (declared: {known})")
        references[step, fact] = None
        return _variable(step, fact)

    if not _encodable(expression):
        raise ConditionInvalid("the expression has a character that UTF-8 cannot hold")
    rewritten = _TOKEN.sub(replace, expression)
    types = {_variable(step, fact): declared[step][fact] for step, fact in references}
    environment = cel.NewEnv(variables={name: _TYPES[kind] for name, kind in types.items()})
    try:
        program = environment.compile(rewritten)
    except RuntimeError as error:
        raise ConditionInvalid(_readable(str(error))) from None
    if program.return_type() != cel.Type.BOOL:
        raise ConditionInvalid("the expression must be of type bool")
    condition = Condition(expression, tuple(references), program, types)
    try:
        condition.evaluate({})  # what fails without any fact fails always
    except ConditionFailed as error:
        raise ConditionInvalid(str(error)) from None
    return condition


def _readable(error: str) -> str:
    """The checker's first line, without prefixes and positions, which refer to the rewritten text."""
    first = (error.splitlines() or ["unknown error"])[0]
    text = re.sub(r"^[A-Z_]+:\s*(ERROR:\s*<input>:\d+:\d+:\s*)?|\s*\[[A-Z_]+\]$", "", first)
    if "(double, int)" in text:
        text += " (write a whole number as 3.0 beside a fact of type number)"
    elif "(int, double)" in text:
        text += " (write 3.0 as 3 beside a fact of type integer)"
    return re.sub(r"facts_([a-z0-9D]+)__", lambda match: f"facts['{match[1].replace('D', '-')}'].", text)
