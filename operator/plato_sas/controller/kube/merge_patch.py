"""The patch that turns a stored document into another one."""

from collections.abc import Mapping
from typing import Any

from plato_sas.api import Document


def difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> Document:
    """The JSON merge patch (RFC 7396) from `old` to `new`, empty if they are equal; neither contains a null.

    A merge patch merges objects, so removed keys are set to null; lists are replaced whole.
    """
    patch: Document = {}
    for key in old.keys() | new.keys():
        before, after = old.get(key), new.get(key)
        if before == after:
            continue
        if isinstance(before, Mapping) and isinstance(after, Mapping):
            patch[key] = difference(before, after)
        else:
            patch[key] = after
    return patch
