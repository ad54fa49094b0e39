"""What the view keeps packed: stars, and Jobs and pods that have ended; of tens of thousands, few are at work."""

import json
import zlib
from dataclasses import dataclass
from typing import Self

from plato_sas.document import Document

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
            _packed(item),
        )

    def document(self) -> Document:
        """The object, unpacked anew each time: it is the caller's own."""
        return _unpacked(self._content)


@dataclass(frozen=True, slots=True)
class PackedFinished:
    """A Job or a pod that has ended and waits for its time to go. A newer version of it is packed anew."""

    uid: str
    version: int
    _content: bytes

    @classmethod
    def of(cls, item: Document) -> Self:
        return cls(item["metadata"]["uid"], version_of(item), _packed(item))

    def document(self) -> Document:
        """As of a star."""
        return _unpacked(self._content)


def _packed(item: Document) -> bytes:
    return zlib.compress(json.dumps(item, separators=(",", ":")).encode(), _LEVEL)


def _unpacked(content: bytes) -> Document:
    found: Document = json.loads(zlib.decompress(content))
    return found


def version_of(item: Document) -> int:
    """An object's resource version: since Kubernetes 1.35 those of one resource compare as numbers (KEP-5504)."""
    return int(item["metadata"]["resourceVersion"])
