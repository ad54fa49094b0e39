"""A StarProcessing as the view keeps it: packed, since there are tens of thousands of them and few are at work."""

import json
import zlib
from dataclasses import dataclass
from typing import Any, Self

Document = dict[str, Any]

_LEVEL = 1  # repeated keys make most of a document: the fastest level takes it to a fifth


@dataclass(frozen=True, slots=True)
class PackedStar:
    """What is asked of every star now and then stands beside the packed rest. `tree`: its campaign and its star."""

    name: str
    uid: str
    version: int
    tree: tuple[str, str]
    revision: str | None
    _content: bytes

    @classmethod
    def of(cls, item: Document) -> Self:
        metadata, spec = item["metadata"], item["spec"]
        return cls(
            metadata["name"],
            metadata["uid"],
            version_of(item),
            (spec["campaign"], spec["star"]),
            item.get("status", {}).get("revision"),
            zlib.compress(json.dumps(item, separators=(",", ":")).encode(), _LEVEL),
        )

    def document(self) -> Document:
        """The object, unpacked anew each time: it is the caller's own."""
        found: Document = json.loads(zlib.decompress(self._content))
        return found


def version_of(item: Document) -> int:
    """An object's resource version: since Kubernetes 1.35 those of one resource compare as numbers (KEP-5504)."""
    return int(item["metadata"]["resourceVersion"])
