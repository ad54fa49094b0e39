"""The volumes of one pod over real files, and steps to run in it."""

import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from plato_sas.stager.description import (
    FactDescription,
    InputDescription,
    OutputDescription,
    PublishOrder,
    Stage,
    StepDescription,
)
from plato_sas.stager.messages import Published, PublishedStep, StagedIn, Withheld
from plato_sas.stager.publish import publish
from plato_sas.stager.roots import Roots
from plato_sas.stager.stage_in import stage_in

LIGHT_CURVE = b"flux of a quiet star"
IMAGE = "registry/m@sha256:" + "d" * 64


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def step(name: str = "msap1", **fields: Any) -> StepDescription:
    """A step that reads the light curve and writes OUT.h5."""
    return StepDescription(
        name=name,
        module="m",
        version="1.2.3",
        image=IMAGE,
        args=["--fast"],
        attempt=1,
        seed=42,
        parameters={"snr": 3.0},
        inputs=[InputDescription("DP1", "inputs", "q1/KIC1/lc.h5")],
        outputs=[OutputDescription("OUT", "OUT.h5")],
        facts=[
            FactDescription("flag", "boolean"),
            FactDescription("modes", "integer"),
            FactDescription("nu_max", "number"),
            FactDescription("quality", "string"),
        ],
    )._replace(**fields)


def reading(producer: str = "msap1", campaign: str = "q1", **fields: Any) -> StepDescription:
    """A step that reads what another one has published."""
    folder = f"{campaign}/KIC1/{producer}"
    one = InputDescription("IN", "products", f"{folder}/OUT.h5", producer=folder, output="OUT", **fields)
    return step("msap2", inputs=[one])


def made_of(producer: str, name: str, **fields: Any) -> StepDescription:
    """A step that reads what another step of the same stage makes."""
    path = f"q1/KIC1/.attempts/try-1/{producer}/OUT.h5"
    return step(name, inputs=[InputDescription("IN", "products", path, output="OUT", made_by=producer)], **fields)


@dataclass
class Pod:
    """The volumes of one pod, with the star's light curve in place."""

    root: Path

    def __post_init__(self) -> None:
        self.roots = Roots(
            self.root / "sas/inputs",
            self.root / "sas/products",
            self.root / "sas/work",
            self.root / "dev/termination-log",
        )
        for folder in (self.roots.inputs / "q1/KIC1", self.roots.products, self.roots.work, self.root / "dev"):
            folder.mkdir(parents=True)
        self.light_curve = self.roots.inputs / "q1/KIC1/lc.h5"
        self.light_curve.write_bytes(LIGHT_CURVE)
        self.star = self.roots.products / "q1/KIC1"

    def stage(self, *steps: StepDescription, attempt: str = "try-1", **fields: Any) -> Stage:
        known: dict[str, Any] = {"campaign": "q1", "processing": "uid-1", "rerun": 0}
        return Stage(id=attempt, star="KIC1", steps=list(steps or [step()]), **{**known, **fields})

    def stage_in(self, *steps: StepDescription, attempt: str = "try-1", **fields: Any) -> StagedIn:
        return stage_in(self.stage(*steps, attempt=attempt, **fields), self.roots)

    def begin(self, *steps: StepDescription, attempt: str = "try-1", **fields: Any) -> Stage:
        """A stage whose modules may start."""
        stage = self.stage(*steps, attempt=attempt, **fields)
        assert stage_in(stage, self.roots).reused == {}
        return stage

    def out(self, stage: Stage, name: str = "msap1") -> Path:
        return self.roots.products / stage.attempt_folder / name

    def write(self, stage: Stage, *names: str, content: bytes = b"result", facts: str | None = None) -> None:
        """What the modules of the steps do."""
        for name in names or [one.name for one in stage.steps]:
            (self.out(stage, name) / "OUT.h5").write_bytes(content)
            if facts is not None:
                (self.out(stage, name) / "facts.json").write_text(facts)

    def publish(self, stage: Stage, *names: str) -> Published:
        return publish(order(stage, *names), self.roots)

    def run(self, content: bytes = b"result", *, facts: str | None = None, **fields: Any) -> PublishedStep:
        """One step from its inputs to its products."""
        of_stage = {name: fields.pop(name) for name in ("attempt", "campaign", "processing", "rerun") if name in fields}
        described = step(**fields)
        stage = self.begin(described, **of_stage)
        self.write(stage, content=content, facts=facts)
        published = self.publish(stage)
        assert published.failed == {}
        return published.steps[described.name]

    def product(self, name: str = "msap1", campaign: str = "q1") -> Path:
        return self.roots.products / campaign / "KIC1" / name

    def manifest(self, name: str = "msap1", campaign: str = "q1") -> dict[str, Any]:
        document: dict[str, Any] = json.loads((self.product(name, campaign) / "manifest.json").read_text())
        return document

    def visible(self, campaign: str = "q1") -> list[str]:
        """What somebody who looks at the star's products sees."""
        star = self.roots.products / campaign / "KIC1"
        return sorted(path.name for path in star.iterdir() if not path.name.startswith("."))

    def unfinished(self, campaign: str = "q1") -> list[str]:
        """The star's attempts that are not cleared up."""
        return sorted(path.name for path in (self.roots.products / campaign / "KIC1/.attempts").iterdir())


def order(stage: Stage, *names: str) -> PublishOrder:
    """The order to publish some steps of a stage, or all."""
    steps = list(names or [one.name for one in stage.steps])
    return PublishOrder(stage.campaign, stage.star, stage.id, steps, stage.containers)


def withheld(pod: Pod, stage: Stage, name: str = "msap1") -> Withheld:
    """Why a step is not published."""
    published = pod.publish(stage)
    assert name not in published.steps
    assert name not in pod.visible(), "something of a bad step is visible"
    return published.failed[name]


class Killed(BaseException):
    """The process ends here."""


@contextmanager
def killed_at(moment: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], bool]]:
    """Ends what runs inside before (even) or after (odd moments) its n-th change of a file system; whether it came so
    far."""
    calls = 0
    reached = False

    def patched(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **named: Any) -> Any:
            nonlocal calls, reached
            mine, calls = calls, calls + 1
            if 2 * mine == moment:
                reached = True
                raise Killed
            try:
                return real(*arguments, **named)
            finally:
                if 2 * mine + 1 == moment:
                    reached = True
                    raise Killed

        return call

    with monkeypatch.context() as patches:
        patches.setattr(os, "fsync", patched(lambda _: None))  # a process that is killed leaves the page cache as it is
        for name in ("rename", "unlink", "rmdir", "mkdir", "link", "symlink", "chmod", "fchmod"):
            patches.setattr(os, name, patched(getattr(os, name)))
        with suppress(Killed):
            yield lambda: reached
