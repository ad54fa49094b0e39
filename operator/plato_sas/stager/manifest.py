"""manifest.json: what a published step is made of and where it comes from."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from plato_sas.stager.files import canonical

MANIFEST = "manifest.json"
SCHEMA = "plato-sas.io/manifest/v1"


@dataclass(frozen=True)
class PublishedFile:
    """One output in the product tree; size in bytes."""

    path: str
    size: int
    sha256: str


def outputs_digest(outputs: dict[str, PublishedFile]) -> str:
    """One SHA-256 for all outputs of a step, independent of their order."""
    content = {name: [file.path, file.sha256] for name, file in outputs.items()}
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def output_digest(manifest: Path, output: str) -> str | None:
    """SHA-256 of one output as its producer published it; None if there is no manifest or it does not know the output.

    Raises OSError if the manifest cannot be read.
    """
    try:
        document: dict[str, Any] = json.loads(manifest.read_text())
        return str(document["outputs"][output]["sha256"])
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None
