"""facts.json: the small typed values that a module reports."""

import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from plato_sas.numbers import MAX_INTEGER, finite
from plato_sas.stager.description import FactDescription
from plato_sas.stager.files import NotAFile, open_regular
from plato_sas.text import printable

FACTS = "facts.json"
_MAX_FILE = 64 * 1024
_MAX_STRING = 128

_TYPES: dict[str, tuple[type, ...]] = {
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "string": (str,),
}


class FactsInvalid(Exception):
    """facts.json breaks the module's declaration; the message names the fact."""


def read_facts(path: Path, declared: Sequence[FactDescription]) -> dict[str, Any]:
    """The facts that a module wrote; {} if none. Raises FactsInvalid."""
    try:
        descriptor = open_regular(path)
    except FileNotFoundError:
        return {}
    except NotAFile as error:
        raise FactsInvalid(str(error)) from error
    with open(descriptor, "rb") as file:
        if os.fstat(file.fileno()).st_size > _MAX_FILE:
            raise FactsInvalid(f"{FACTS} is larger than {_MAX_FILE} bytes")
        content = file.read()
    try:
        document = json.loads(content)
    except ValueError as error:
        raise FactsInvalid(f"{FACTS} is not JSON: {error}") from error
    except RecursionError:
        raise FactsInvalid(f"{FACTS} is no flat JSON object: it is nested too deeply to be read") from None
    if not isinstance(document, dict):
        raise FactsInvalid(f"{FACTS} must be one JSON object")
    types = {fact.name: fact.type for fact in declared}
    for name, value in document.items():
        if name in types and isinstance(value, str):
            _check_text(name, value, content)
    return {name: _checked(name, value, types) for name, value in document.items()}


def _check_text(name: str, text: str, content: bytes) -> None:
    """Raises FactsInvalid for what no terminal or encoding can take, naming the line."""
    odd = next((one for one in text if printable(one) != one), None)
    if odd is not None:
        line = content[: content.find(f'"{name}"'.encode())].count(b"\n") + 1
        raise FactsInvalid(f"{FACTS}: line {line}: {name} contains {odd!a}, which cannot be shown as text")


def _checked(name: str, value: Any, types: dict[str, str]) -> Any:
    if name not in types:
        known = ", ".join(sorted(types)) or "none"
        raise FactsInvalid(f"{FACTS}: {name[:64]!r} is not declared by the module (declared: {known})")
    expected = types[name]
    # bool is a subclass of int in Python, but not in a declaration
    if not isinstance(value, _TYPES[expected]) or (isinstance(value, bool) and expected != "boolean"):
        raise FactsInvalid(f"{FACTS}: {name} must be of type {expected}, not {_named(value)}")
    if isinstance(value, int) and abs(value) > MAX_INTEGER:
        raise FactsInvalid(f"{FACTS}: {name} does not fit into 64 bits")
    if isinstance(value, float) and finite(value) is None:
        raise FactsInvalid(f"{FACTS}: {name} is not a finite number")
    if isinstance(value, str) and len(value) > _MAX_STRING:
        raise FactsInvalid(f"{FACTS}: {name} is longer than {_MAX_STRING} characters")
    if isinstance(value, str) and any("\ud800" <= one <= "\udfff" for one in value):
        raise FactsInvalid(f"{FACTS}: {name} has a character that UTF-8 cannot hold (a lone surrogate)")
    return float(value) if isinstance(value, int) and expected == "number" else value


def _named(value: Any) -> str:
    """A value in a message; one that holds others may be nested too deeply to be written."""
    if isinstance(value, dict | list):
        return "an object" if isinstance(value, dict) else "a list"
    return json.dumps(value)[:64]
