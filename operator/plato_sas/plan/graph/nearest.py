"""Names that users mistype."""

import difflib
from collections.abc import Iterable


def shown(name: str) -> str:
    """A name of any characters, fit for a message."""
    return name if name.isascii() and name.replace("_", "a").isalnum() and len(name) <= 63 else repr(name[:63])


def suggestion(name: str, known: Iterable[str]) -> str:
    """The known name that was probably meant, as the end of a message; empty if none is near."""
    found = difflib.get_close_matches(name.lower().replace("-", "_"), list(known), n=1)
    return f": did you mean {found[0]}?" if found else ""
