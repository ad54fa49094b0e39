"""A request to the API server as an injector sees it."""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass

_PATH = re.compile(
    r"/apis?/(?:(?P<group>[a-z0-9.-]+\.?[a-z0-9.-]*)/)?v[0-9a-z]+/namespaces/(?P<namespace>[a-z0-9-]+)"
    r"/(?P<plural>[a-z]+)(?:/(?P<name>[a-z0-9.-]+))?(?:/(?P<subresource>[a-z]+))?"
)
WRITES = ("POST", "PUT", "PATCH", "DELETE")


@dataclass(frozen=True)
class Request:
    """One request: what is asked of which object."""

    method: str
    path: str
    watch: bool
    body: bytes = b""

    @property
    def write(self) -> bool:
        return self.method in WRITES

    @property
    def plural(self) -> str:
        """The kind of the object, such as `jobs`; empty for other paths."""
        found = _PATH.fullmatch(self.path)
        return found["plural"] if found else ""

    @property
    def title(self) -> str:
        """Such as `PATCH starprocessings/status`; without names, so that equal points of two stars are equal."""
        found = _PATH.fullmatch(self.path)
        if not found:
            return f"{self.method} {self.path}"
        return f"{self.method} {found['plural']}" + (f"/{found['subresource']}" if found["subresource"] else "")

    def star(self, labels: Mapping[str, str]) -> str | None:
        """The StarProcessing that a write is about, of those whose Jobs' names begin so (`labels`: prefix to name)."""
        found = _PATH.fullmatch(self.path)
        if not found:
            return None
        name = found["name"] or _name_in(self.body)
        matching = [prefix for prefix in labels if name == prefix or name.startswith((f"{prefix}-", f"{prefix}."))]
        return labels[max(matching, key=len)] if matching else None


def _name_in(body: bytes) -> str:
    try:
        document = json.loads(body)
        if "involvedObject" in document:
            return str(document["involvedObject"]["name"])
        return str(document["metadata"].get("name", ""))
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
