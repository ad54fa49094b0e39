"""Values that have broken something somewhere, and documents with such values in them."""

import copy
from random import Random
from typing import Any

STRINGS = (
    "", " ", "\x00", "\x1b[31mred", "a\nb", "a\rb", "\u202eevil", "\ud800", "\udce9", "µHz", "é" * 40, "🔭", "a" * 300,
    "x" * 5000, "../../etc/passwd", "/etc/passwd", "a/../b", "..", ".", "~", "$HOME", "$(reboot)", "`id`", "{star}",
    "{star", "{}", "{nope}", "%s%n", "'; DROP TABLE stars;--", "null", "true", "1e400", "NaN", "-0", "1_000", "0x10",
    "0777", "+1", "1.", "१२", "128MB", "1m", "-1Gi", "1h30m", "0s", "99999d", "P1D", "kic 1", "KIC-1", "a,b", "a=b",
    "localhost/x", "x:latest", "Registry/X", "x@sha256:zz", "facts['a'].b", "1/0", "facts", '"', "\\", "#", "- a: 1",
)  # fmt: skip
NUMBERS = (0, -1, 1, 2**31, 2**53 + 1, 2**63 - 1, 2**63, -(2**63), 10**40, 0.1, -0.0, 1e308, 1e-400)
OTHERS: tuple[Any, ...] = (None, True, False, [], {}, [None], {"": ""}, [[]], {"a": {"b": {"c": 1}}})


def value(luck: Random) -> Any:
    """One hostile value."""
    return copy.deepcopy(luck.choice(luck.choice((STRINGS, STRINGS, NUMBERS, OTHERS))))


def nested(luck: Random) -> Any:
    """A document that is nested too deep for somebody."""
    found: Any = 1
    for _ in range(luck.choice((20, 200, 993, 5000))):
        found = [found] if luck.random() < 0.5 else {"a": found}
    return found


def spoiled(document: Any, luck: Random, times: int) -> Any:
    """The document with so many things wrong: a value replaced, a key added, removed, renamed or doubled."""
    result = copy.deepcopy(document)
    for _ in range(times):
        places = list(_places(result))
        if not places:
            return value(luck)
        holder, key = luck.choice(places)
        match luck.randrange(5):
            case 0 | 1:
                holder[key] = value(luck)
            case 2:
                del holder[key]
            case 3 if isinstance(holder, dict):
                holder[luck.choice(STRINGS)] = holder.pop(key)
            case _ if isinstance(holder, dict):
                holder[luck.choice(STRINGS)] = value(luck)
            case _:
                holder.append(copy.deepcopy(holder[key]))
    return result


def _places(document: Any) -> Any:
    """Every place of the document, as a container and a key."""
    if isinstance(document, dict):
        for key, one in list(document.items()):
            yield document, key
            yield from _places(one)
    elif isinstance(document, list):
        for index, one in enumerate(document):
            yield document, index
            yield from _places(one)
