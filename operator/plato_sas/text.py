"""Text from outside (logs, reasons, names), made fit for a status, an event, a log line and a terminal."""

import re
import unicodedata

# Besides the control characters: what reorders text, and what no encoding can hold.
_UNSAFE = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
_KEPT = frozenset("\n\t\u200c\u200d")  # the last two join letters in several scripts
_WORD = re.compile(r"[A-Za-z0-9]+")
_MAX_REASON = 64


def printable(text: str) -> str:
    """The text with control, bidirectional and unencodable characters escaped; line breaks and tabs stay.

    Of a line that was overwritten by carriage returns, such as a progress bar, only the last state is kept.
    """
    lines = (line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))
    return "".join(one if _safe(one) else _escaped(one) for one in "\n".join(lines))


def _safe(character: str) -> bool:
    return character in _KEPT or unicodedata.category(character) not in _UNSAFE


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"


def reason_word(text: str, default: str = "Unknown") -> str:
    """A reason as the API conventions want it, one CamelCase word: `OutOfephemeral-storage` has a hyphen."""
    words = _WORD.findall(text)
    word = "".join(one[0].upper() + one[1:] for one in words).lstrip("0123456789")[:_MAX_REASON]
    return word[0].upper() + word[1:] if word else default
