"""manifest.json: the outputs and the provenance of a published step."""

import hashlib
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from plato_sas.stager.description import StepDescription
from plato_sas.stager.files import NotAFile, canonical, open_regular, sha256
from plato_sas.stager.messages import PublishedStep

MANIFEST = "manifest.json"
SCHEMA = "plato-sas.io/manifest/v1"
_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,126}")


class PublishedFile(NamedTuple):
    """One output in the product tree; size in bytes."""

    path: str
    size: int
    sha256: str

    def there(self, folder: Path) -> bool:
        """Whether a folder has the file with exactly this content. Raises OSError if the volume is at fault."""
        try:
            descriptor = open_regular(folder / self.path)
        except (FileNotFoundError, NotAFile):
            return False
        with open(descriptor, "rb") as file:
            return file.seek(0, 2) == self.size and sha256(file.fileno()) == self.sha256


def outputs_digest(outputs: Mapping[str, PublishedFile]) -> str:
    """One SHA-256 over all outputs of a step, independent of their order."""
    content = {name: [file.path, file.sha256] for name, file in outputs.items()}
    return hashlib.sha256(canonical(content).encode()).hexdigest()


def image_digest(image: str) -> str | None:
    """The digest of an image reference (`name@sha256:...`); None if only a tag names the image."""
    return image.partition("@")[2] or None


def step_key(step: StepDescription, inputs: Mapping[str, str]) -> str:
    """The key of a step: a digest over all that determines its products (image, command, parameters, seed, inputs).

    Two runs with the same key produce the same, so the second is not needed.
    """
    content = {
        "image": image_digest(step.image) or step.image,
        "command": step.command,
        "args": step.args,
        "parameters": step.parameters,
        "seed": step.seed,
        "inputs": dict(inputs),
    }
    return hashlib.sha256(canonical(content).encode()).hexdigest()


class Manifest(NamedTuple):
    """A manifest read from the product tree: its outputs and the whole document."""

    outputs: Mapping[str, PublishedFile]
    document: Mapping[str, Any]

    @classmethod
    def read(cls, folder: Path) -> "Manifest | None":
        """The manifest of a published step; None if it is missing or invalid.

        Raises OSError if the volume is at fault.
        """
        try:
            with open(open_regular(folder / MANIFEST), "rb") as file:
                document = json.load(file)
        except (FileNotFoundError, NotAFile, ValueError, RecursionError):
            return None
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            return None
        outputs = _outputs(document.get("outputs"))
        return cls(outputs, document) if outputs is not None and _reportable(document) else None

    @property
    def report(self) -> PublishedStep:
        """What publish reported about the step."""
        return PublishedStep(self.document["digest"], self.document["facts"], self.document.get("missing", []))

    @property
    def made_by(self) -> str | None:
        """The Job that made the products, even if another campaign has taken them over since."""
        made = self.document.get("reusedFrom")
        job = (made if isinstance(made, dict) else self.document).get("attemptId")
        return job if isinstance(job, str) else None

    def complete(self, folder: Path, step: StepDescription) -> bool:
        """Whether every output exists as published, and all outputs that the step must have now are among them."""
        missing = self.document.get("missing", [])
        for one in step.outputs:
            output = self.outputs.get(one.name)
            if output.path != one.path if output is not None else not (one.optional and one.name in missing):
                return False
        return all(output.there(folder) for output in self.outputs.values())


def _outputs(found: object) -> dict[str, PublishedFile] | None:
    """None if anything does not fit `PublishedFile`, or a path leads out of the step's folder."""
    if not isinstance(found, dict):
        return None
    outputs = {}
    for name, one in found.items():
        if not isinstance(one, dict):
            return None
        path, size, digest = one.get("path"), one.get("size"), one.get("sha256")
        if not isinstance(path, str) or not isinstance(size, int) or not isinstance(digest, str):
            return None
        if not _FILE_NAME.fullmatch(path) or path == MANIFEST:
            return None
        outputs[name] = PublishedFile(path, size, digest)
    return outputs


def _reportable(document: Mapping[str, Any]) -> bool:
    """Whether the document has what `Manifest.report` reads. Older manifests do not list missing outputs."""
    missing = document.get("missing", [])
    return (
        isinstance(document.get("digest"), str)
        and isinstance(document.get("facts"), dict)
        and isinstance(missing, list)
        and all(isinstance(one, str) for one in missing)
    )
