"""Texts of a status, which has room for so much of them."""

import json

MAX_MESSAGE = 1024  # characters, of a step or a catalogue


def size(text: str) -> int:
    """Bytes in the status."""
    return len(json.dumps(text, ensure_ascii=False).encode()) - 2


def ending(text: str, limit: int) -> str:
    """The end of a text that is too large."""
    if size(text) <= limit:
        return text
    kept = text[-limit:]
    while size(kept) > limit - 3:
        kept = kept[max(1, len(kept) // 16) :]
    return f"...{kept}"


def beginning(text: str, limit: int) -> str:
    """The beginning of a text that is too large."""
    if size(text) <= limit:
        return text
    kept = text[:limit]
    while size(kept) > limit - 3:
        kept = kept[: -max(1, len(kept) // 16)]
    return f"{kept}..."
