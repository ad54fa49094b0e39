"""Names of resources, made of two identifiers. Pure."""

import hashlib
import re

# A label value has at most 63 characters; 11 are left for what is named after the resource.
_LENGTH = 52
_HASH_LENGTH = 8


def joined_name(first: str, second: str, *, unique: bool) -> str:
    """`<first>-<second>` in lower case, at most 52 characters.

    A short hash of both is appended where two pairs could share the name: a character had to be replaced, the first
    identifier's own hyphen could be the separator, the name had to be cut, or `unique` is false.
    """
    plain = f"{first}-{second}".lower()
    name = re.sub(r"[^a-z0-9-]", "-", plain)
    if unique and name == plain and "-" not in first and len(name) <= _LENGTH:
        return name
    digest = hashlib.sha256(f"{first}\0{second}".encode()).hexdigest()[:_HASH_LENGTH]
    return f"{name[: _LENGTH - _HASH_LENGTH - 1].rstrip('-')}-{digest}"
