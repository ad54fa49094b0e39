"""Packed objects of the view: stars, and finished Jobs and pods. Of tens of thousands, only few are read often."""

import json
import zlib
from dataclasses import dataclass
from typing import Self

from plato_sas.api import Document
from plato_sas.plan.conditions import COMPLETE
from plato_sas.plan.star.status import PROGRESSING

_LEVEL = 1  # documents are mostly repeated keys: the fastest level compresses them to a fifth


@dataclass(frozen=True, slots=True)
class PackedStar:
    """A star: the fields that are read for all stars, and the rest packed. `tree`: its campaign and star."""

    name: str
    uid: str
    version: int
    tree: tuple[str, str]
    revision: str | None
    unexplained: bool  # it is neither at rest nor suspended, and its status does not say what it waits for
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
            _unexplained(item.get("status", {})),
            _packed(item),
        )

    def document(self) -> Document:
        """The object, unpacked for each call, so the caller may change it."""
        return _unpacked(self._content)


@dataclass(frozen=True, slots=True)
class PackedFinished:
    """A finished Job or pod, which waits to be deleted."""

    uid: str
    version: int
    _content: bytes

    @classmethod
    def of(cls, item: Document) -> Self:
        return cls(item["metadata"]["uid"], version_of(item), _packed(item))

    def document(self) -> Document:
        """As for a star."""
        return _unpacked(self._content)


def _unexplained(status: Document) -> bool:
    if status.get("state", "Pending") not in ("Pending", "Running"):
        return False
    complete = next((one for one in status.get("conditions", []) if one["type"] == COMPLETE), None)
    return complete is None or (complete["reason"] == PROGRESSING and not complete["message"])


def _packed(item: Document) -> bytes:
    return zlib.compress(json.dumps(item, separators=(",", ":")).encode(), _LEVEL)


def _unpacked(content: bytes) -> Document:
    found: Document = json.loads(zlib.decompress(content))
    return found


def version_of(item: Document) -> int:
    """An object's resource version; since Kubernetes 1.35, versions of one resource compare as numbers (KEP-5504)."""
    return int(item["metadata"]["resourceVersion"])
