"""Texts for a status, cut to the space it has."""

import json

MAX_MESSAGE = 1024  # characters, for a step or a catalogue


def size(text: str) -> int:
    """The size in bytes as JSON."""
    return len(json.dumps(text, ensure_ascii=False).encode()) - 2


def ending(text: str, limit: int) -> str:
    """The text, cut to its end if it is larger than `limit` bytes."""
    if size(text) <= limit:
        return text
    kept = text[-limit:]
    while size(kept) > limit - 3:
        kept = kept[max(1, len(kept) // 16) :]
    return f"...{kept}"


def beginning(text: str, limit: int) -> str:
    """The text, cut to its beginning if it is larger than `limit` bytes."""
    if size(text) <= limit:
        return text
    kept = text[:limit]
    while size(kept) > limit - 3:
        kept = kept[: -max(1, len(kept) // 16)]
    return f"{kept}..."
