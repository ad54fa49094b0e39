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
from plato_sas.numbers import MAX_INTEGER, finite
from plato_sas.text import printable

# Match comments and string literals too, so that nothing inside one counts as an access.
_TOKEN = re.compile(
    r"""(?P<access>\bfacts\s*\[\s*(?P<quote>['"])(?P<step>[a-z0-9-]+)(?P=quote)\s*\]\s*\.\s*(?P<fact>[a-z][a-z0-9_]*))"""
    r"""|(?P<literal>[rR](?:'''[\s\S]*?'''|\"""[\s\S]*?\"""|'[^'\n]*'|"[^"\n]*")"""
    r"""|'''(?:\\.|[^\\])*?'''|\"""(?:\\.|[^\\])*?\"""|'(?:\\.|[^'\\])*'|"(?:\\.|[^"\\])*")"""
    r"""|(?P<comment>//[^\n]*)"""
)
_LITERAL = "\0"  # stands for a literal where only the code around it matters
_PATTERN = re.compile(rf"\bmatches\s*\((?:[^()]*,)?\s*{_LITERAL}(\d+){_LITERAL}\s*\)")
_BY_ZERO = re.compile(r"[/%]\s*0+u?\b(?!\.)")
_NO_VALUE = re.compile(r'(?:UNKNOWN: )?No value with name "(\w+)" found in Activation')

_TYPES = {
    ValueType.BOOLEAN: cel.Type.BOOL,
    ValueType.INTEGER: cel.Type.INT,
    ValueType.NUMBER: cel.Type.DOUBLE,
    ValueType.STRING: cel.Type.STRING,
}


class ConditionInvalid(ValueError):
    """The expression is not CEL, is not of type bool, names a fact that does not exist, or can only fail."""


@dataclass(frozen=True)
class EvaluationFailed:
    """The expression has no value for the facts of this star."""

    message: str


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

    def absent(self, facts: Mapping[str, Mapping[str, Any]]) -> list[str]:
        """The facts it reads that were not reported."""
        return [_written(step, fact) for step, fact in self.references if facts.get(step, {}).get(fact) is None]

    def evaluate(self, facts: Mapping[str, Mapping[str, Any]]) -> bool | EvaluationFailed | None:
        """Its value; None if it depends on an absent fact (`true || absent` is true, as in CEL)."""
        data: dict[str, Any] = {}
        unusable: dict[str, str] = {}
        for step, fact in self.references:
            value = facts.get(step, {}).get(fact)
            if value is not None:
                name = _variable(step, fact)
                try:
                    data[name] = _usable(value, self._types[name])
                except ValueError as error:
                    unusable[name] = f"{_written(step, fact)} {error}"
        try:
            result = self._program.eval(data=data)
        except RuntimeError as error:  # the iteration budget is exceeded
            return EvaluationFailed(_readable(str(error)))
        if result.type() == cel.Type.BOOL:
            return bool(result.value())
        text = str(result.value())
        missing = _NO_VALUE.match(text)
        if missing is None:
            return EvaluationFailed(_readable(text))
        return EvaluationFailed(unusable[missing[1]]) if missing[1] in unusable else None


def _usable(value: Any, kind: ValueType) -> Any:
    """A reported value as CEL takes it. Raises ValueError, which says what is wrong with it."""
    match kind, value:
        case ValueType.BOOLEAN, bool():
            return value
        case ValueType.INTEGER, int() if not isinstance(value, bool):
            if abs(value) > MAX_INTEGER:
                raise ValueError("does not fit into 64 bits")
            return value
        case ValueType.NUMBER, int() | float() if not isinstance(value, bool):
            number = finite(value)  # the API server writes 3.0 as 3
            if number is None:
                raise ValueError("is not a finite number")
            return number
        case ValueType.STRING, str():
            _check_text(value)
            return value
    raise ValueError(f"is not of type {kind.value}")


def _check_text(text: str) -> None:
    """Raises ValueError for text that CEL's binding would cut or cannot take."""
    if "\0" in text:
        raise ValueError("contains a NUL")
    if any("\ud800" <= one <= "\udfff" for one in text):
        raise ValueError("contains half of a surrogate pair, which is not Unicode")


def _written(step: str, fact: str) -> str:
    return f"facts[{step!r}].{fact}"


def _variable(step: str, fact: str) -> str:
    # D replaces the dash: step names have no capitals, so no two facts share a variable.
    return f"facts_{step.replace('-', 'D')}__{fact}"


def compile_condition(expression: str, declared: Mapping[str, Mapping[str, ValueType]]) -> Condition:
    """Check an expression against the facts declared by each step's module. Raises ConditionInvalid."""
    references: dict[tuple[str, str], None] = {}

    def replace(match: re.Match[str]) -> str:
        if match["literal"] is not None:
            return match["literal"]
        if match["comment"] is not None:
            return ""
        step, fact = match["step"], match["fact"]
        if step not in declared:
            raise ConditionInvalid(f"facts[{step!r}]: there is no such step upstream")
        if fact not in declared[step]:
            known = ", ".join(sorted(declared[step])) or "none"
            raise ConditionInvalid(f"{_written(step, fact)}: its module declares no such fact (declared: {known})")
        references[step, fact] = None
        return _variable(step, fact)

    try:
        _check_text(expression)
    except ValueError as error:
        raise ConditionInvalid(f"the expression {error}") from None
    rewritten = _TOKEN.sub(replace, expression)
    types = {_variable(step, fact): declared[step][fact] for step, fact in references}
    environment = cel.NewEnv(variables={name: _TYPES[kind] for name, kind in types.items()})
    try:
        program = environment.compile(rewritten)
    except RuntimeError as error:
        kinds = {_written(*one): declared[one[0]][one[1]] for one in references}
        raise ConditionInvalid(_readable(str(error)) + _hint(str(error), kinds)) from None
    if program.return_type() != cel.Type.BOOL:
        raise ConditionInvalid("the expression must be of type bool")
    condition = Condition(expression, tuple(references), program, types)
    _check_constants(condition)
    return condition


def _check_constants(condition: Condition) -> None:
    """Raises ConditionInvalid for what fails whatever the facts are, as far as that can be seen without them."""
    literals: list[str] = []

    def mask(match: re.Match[str]) -> str:
        if match["literal"] is None:
            return match["access"] or ""
        literals.append(match["literal"])
        return f"{_LITERAL}{len(literals) - 1}{_LITERAL}"

    code = _TOKEN.sub(mask, condition.expression)
    if _BY_ZERO.search(code):
        raise ConditionInvalid("divide by zero")
    constant = [f"''.matches({literals[int(at)]})" for at in _PATTERN.findall(code)]
    programs = [cel.NewEnv().compile(one) for one in constant]
    for one in (*(Condition(condition.expression, (), program, {}) for program in programs), condition):
        result = one.evaluate({}) if not one.references else None
        if isinstance(result, EvaluationFailed):
            raise ConditionInvalid(result.message)


def _readable(error: str) -> str:
    """CEL's first line, without prefixes and positions, which refer to the rewritten text."""
    first = (error.splitlines() or [""])[0]
    text = re.sub(r"^[A-Z_]+:\s*(ERROR:\s*<input>:\d+:\d+:\s*)?|\s*\[[A-Z_]+\]$", "", first)
    return printable(re.sub(r"facts_([a-z0-9D]+)__", lambda match: f"facts['{match[1].replace('D', '-')}'].", text))


def _hint(error: str, kinds: Mapping[str, ValueType]) -> str:
    """What to write where an integer meets a number: CEL does not convert one to the other."""
    applied = re.search(r"applied to '(.*)'", error)
    if applied is None or not {"int", "double"} <= set(re.findall(r"\w+", applied[1])):
        return ""
    integers, numbers = (
        [name for name, kind in kinds.items() if kind is wanted] for wanted in (ValueType.INTEGER, ValueType.NUMBER)
    )
    hints = [f"beside {name}, an integer, write 3 and not 3.0" for name in integers]
    hints += [f"beside {name}, a number, write 3.0 and not 3" for name in numbers]
    if integers and numbers:
        hints.append(f"double({integers[0]}) is a number")
    return f" ({'; '.join(hints)})" if hints else ""
