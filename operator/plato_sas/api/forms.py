"""Strings of one form, checked alike by the models and by the API server, with a message that says what is meant.

The API server answers a schema's `pattern` with the pattern, which nobody can read; hence each is a rule of the CRD.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic_core import CoreSchema, core_schema


@dataclass(frozen=True)
class Form:
    """The form of a string. `pattern` matches it as a whole, in the syntax that Python and RE2 share.

    `hint` may say more about a string of another form; `hint_expression` does the same as CEL, where `self` is the
    string.
    """

    pattern: str
    message: str
    hint: Callable[[str], str] | None = None
    hint_expression: str | None = None

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_after_validator_function(self._checked, handler(source))

    def __get_pydantic_json_schema__(self, schema: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        rule = {"rule": f"self.matches(r'^({self.pattern})$')", "message": self.message}
        if self.hint_expression is not None:
            rule["messageExpression"] = self.hint_expression
        return {**handler(schema), "x-kubernetes-validations": [rule]}

    def _checked(self, text: str) -> str:
        if re.fullmatch(self.pattern, text) is None:
            raise ValueError(self.hint(text) if self.hint is not None else self.message)
        return text


_AMOUNT = r"([0-9]*[1-9][0-9]*(\.[0-9]+)?|0+\.[0-9]*[1-9][0-9]*)"  # more than zero
_BYTES = "must be bytes above zero, such as 512Mi or 2G"
_MISTAKEN = r"[0-9.]+ *[kKmMgGtT]i?[bB]?"


def _bytes_hint(text: str) -> str:
    if re.fullmatch(_MISTAKEN, text) is None:
        return _BYTES
    number, unit = re.findall(r"[0-9.]+|[kKmMgGtT]", text)[:2]
    unit = unit.upper()
    return f"{_BYTES}: write {number}{unit.replace('K', 'k')} or {number}{unit}i"


_UNIT = "self.find('[kKmMgGtT]').upperAscii()"
_BYTES_HINT = (
    f"'{_BYTES}' + (self.matches(r'^{_MISTAKEN}$') ? ': write ' + self.find('^[0-9.]+') + "
    f"{_UNIT}.replace('K', 'k') + ' or ' + self.find('^[0-9.]+') + {_UNIT} + 'i' : '')"
)

BYTES = Form(rf"{_AMOUNT}(k|M|G|T|Ki|Mi|Gi|Ti)?", _BYTES, _bytes_hint, _BYTES_HINT)
CORES = Form(rf"{_AMOUNT}m?", "must be cores above zero, such as 2, 0.5 or 500m (m: thousandths)")


def _durations() -> str:
    """Units from the largest to the smallest, each at most once; only the first number is not zero."""
    units = [("w", 2), ("d", 2), ("h", 3), ("m", 5), ("s", 7)]  # each with its largest number of digits
    forms = []
    for at, (unit, digits) in enumerate(units):
        first = f"[1-9][0-9]{{0,{digits - 1}}}{unit}"
        forms.append(first + "".join(f"([0-9]{{1,{most}}}{smaller})?" for smaller, most in units[at + 1 :]))
    return "|".join(forms)


DURATION = Form(_durations(), "must be a duration such as 90s, 20m, 1h30m or 2w")

_DOMAIN = (
    r"([A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*|\[[0-9A-Fa-f:]+\])(:[0-9]+)?"
)
_COMPONENT = r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*"
_DIGEST = r"@sha(256:[0-9a-f]{64}|384:[0-9a-f]{96}|512:[0-9a-f]{128})"
# As github.com/distribution/reference has it, which the kubelet asks.
IMAGE = Form(
    rf"({_DOMAIN}/)?{_COMPONENT}(/{_COMPONENT})*(:[A-Za-z0-9_][A-Za-z0-9_.-]{{0,127}})?({_DIGEST})?",
    "must be an image reference such as registry.example/group/name:1.2 or name@sha256:<64 hexadecimal digits>: no "
    "https://, and the path in lower case",
)

_PLAIN = r"[!-~]([ -~]*[!-~])?"
UNIT = Form(_PLAIN, "must be a unit in printable ASCII, such as uHz or solMass: FITS has no other characters")
VERSION = Form(_PLAIN, "must be one line of printable ASCII without blanks at the ends")
ARGUMENT = Form(r"[^\x00]*", "must not contain a NUL: a program cannot receive it")

_SEGMENT = r"([A-Za-z0-9_]|\{star\}|\{campaign\})([A-Za-z0-9_.=+-]|\{star\}|\{campaign\})*"
VOLUME_PATH = Form(
    rf"({_SEGMENT}/)*{_SEGMENT}",
    "must be a path below the volume's root, with no segment that begins with a dot; of placeholders there are only "
    "{star} and {campaign}",
)
