"""A namespace of the test platform with its own operator, volumes and catalogue, as the tests see it."""

import json
import shutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from e2e.cluster.storage import NAMESPACE
from e2e.demo import inputs
from e2e.install.modules import pinned
from e2e.kubernetes import apply, kubectl
from e2e.layout import LOCAL, VOLUMES
from e2e.processes.locking import exclusive
from e2e.reading import reader
from plato_sas.api import Document

T = TypeVar("T")

API = "plato-sas.io/v1alpha1"
FINISHED = ("Succeeded", "Failed", "Cancelled", "Rejected")
_POLL_SECONDS = 0.5
# The synthetic image's parameters; modules/synthetic/README.md says what each does.
_INTEGERS = {
    "scratch_mib": 0, "memory_mib": 0, "print_mib": 0, "write_files": 0, "children": 0, "fork_burst": 0,
    "exit_code": 0, "exit_signal": 0, "failures": 1000000,
}  # fmt: skip
_FLAGS = ("silent", "hang", "ignore_sigterm", "write_outside", "crash_after_output")


def until(look: Callable[[], T | None], what: str, seconds: float) -> T:
    """What `look` returns as soon as it is something. Raises AssertionError after so many seconds."""
    deadline = time.monotonic() + seconds
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what}: not within {seconds:.0f} s"
        time.sleep(_POLL_SECONDS)


@dataclass(frozen=True)
class Site:
    """Everything a test may touch. `inputs` and `products` are the volumes' folders on this machine."""

    namespace: str
    inputs: Path
    products: Path

    def synthetic(self, name: str, *, outputs: list[str], inputs: list[str] | None = None, **spec: Any) -> None:
        """A ScienceModule of the synthetic image; its behaviour is set by parameters of the star."""
        arguments = [f"--output={one}.h5" for one in outputs]
        arguments += [f"--input={one}" for one in inputs or [] if one not in spec.get("optional", ())]
        optional = spec.pop("optional", ())
        body = {
            "image": pinned("localhost/plato-sas/synthetic:0.1.0"),
            "version": "0.1.0",
            "args": arguments,
            "inputs": [{"name": one, "optional": one in optional} for one in inputs or []],
            "outputs": [{"name": one} for one in outputs],
            "parameters": [
                *({"name": one, "type": "integer", "default": default} for one, default in _INTEGERS.items()),
                *({"name": one, "type": "boolean", "default": "false"} for one in _FLAGS),
                {"name": "sleep_s", "type": "number", "default": 0},
                {"name": "true_share", "type": "number", "default": 1, "minimum": 0, "maximum": 1},
                *({"name": one, "type": "string", "default": ""} for one in ("message", "pry", "plant", "target")),
                {"name": "facts", "type": "string", "default": "{}"},
            ],
            "resources": {"cpu": "50m", "memory": "64Mi", "scratch": "16Mi"},
            "timeout": "5m",
            **spec,
        }
        self.apply("ScienceModule", name, body)

    def pipeline(self, name: str, steps: list[Document], externals: list[Document] | None = None) -> None:
        self.apply("StarPipeline", name, {"externals": externals or [], "steps": steps})

    def apply(self, kind: str, name: str, spec: Document) -> None:
        apply([{"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}], namespace=self.namespace)

    def start(self, name: str, *, pipeline: str, campaign: str = "e2e", **spec: Any) -> None:
        """Create a StarProcessing of the star `name`."""
        self.apply("StarProcessing", name, {"star": name, "campaign": campaign, "pipeline": pipeline, **spec})

    def patch(self, name: str, spec: Document) -> None:
        kubectl("patch", "sp", name, "--type=merge", "-p", json.dumps({"spec": spec}), namespace=self.namespace)

    def star(self, name: str) -> Document:
        return reader().one("starprocessings", name, self.namespace)

    def finished(self, name: str, seconds: float = 180) -> Document:
        """The star's status once it is finished."""

        def look() -> Document | None:
            status: Document = self.star(name).get("status", {})
            return status if status.get("state") in FINISHED else None

        return until(look, f"star {name} finished", seconds)

    def in_state(self, name: str, step: str, state: str, seconds: float = 120) -> Document:
        """The step's status once it is in a state."""

        def look() -> Document | None:
            found = steps(self.star(name).get("status", {})).get(step)
            return found if found and found["state"] == state else None

        return until(look, f"star {name}: step {step} {state}", seconds)

    def jobs(self, star: str) -> list[Document]:
        return reader().items("jobs", self.namespace, f"plato-sas.io/star={star}")

    def describe(self, name: str) -> str:
        return kubectl("describe", "sp", name, namespace=self.namespace)

    def manifest(self, star: str, step: str, campaign: str = "e2e") -> Document:
        content: Document = json.loads((self.products / campaign / star / step / "manifest.json").read_text())
        return content

    def published(self, star: str, campaign: str = "e2e") -> set[str]:
        """The steps of a star that are visible in the product tree."""
        folder = self.products / campaign / star
        return {one.name for one in folder.iterdir() if not one.name.startswith(".")} if folder.is_dir() else set()


def give_demo_stars(site: Site, *stars: str) -> None:
    """Put the demo's light curves on the site's volume. One worker at a time makes those that are missing."""
    with exclusive(LOCAL / "tests" / "demo-inputs.lock", timeout=900, waiting="another worker makes the light curves"):
        inputs.prepare(NAMESPACE)
    for star in stars:
        shutil.copytree(VOLUMES / "inputs" / star, site.inputs / star, dirs_exist_ok=True)


def steps(status: Mapping[str, Any]) -> dict[str, Document]:
    """A status's steps by name."""
    return {step["name"]: step for step in status.get("steps", [])}


def states(status: Mapping[str, Any]) -> dict[str, str]:
    """Each step's state."""
    return {name: step["state"] for name, step in steps(status).items()}


def condition(status: Mapping[str, Any], kind: str) -> Document:
    """A condition by its type."""
    return next(one for one in status["conditions"] if one["type"] == kind)
