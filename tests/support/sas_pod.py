"""The volumes of one pod over real files, and steps to run in it."""

import hashlib
import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from plato_sas.stager.description import (
    FactDescription,
    InputDescription,
    OutputDescription,
    Stage,
    StepDescription,
)
from plato_sas.stager.messages import (
    Problem,
    Published,
)
from plato_sas.stager.publish import publish
from plato_sas.stager.roots import Roots
from plato_sas.stager.stage_in import stage_in

LIGHT_CURVE = b"flux of a quiet star"


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def step(name: str = "msap1", **fields: Any) -> StepDescription:
    """A step that reads the light curve and writes OUT.h5."""
    return replace(
        StepDescription(
            name=name,
            module="m",
            version="1.2.3",
            image="registry/m@sha256:" + "d" * 64,
            command=None,
            args=["--fast"],
            attempt=1,
            seed=42,
            parameters={"snr": 3.0},
            inputs=[InputDescription("DP1", "inputs", "q1/KIC1/lc.h5")],
            outputs=[OutputDescription("OUT", "OUT.h5", False)],
            facts=[
                FactDescription("flag", "boolean"),
                FactDescription("modes", "integer"),
                FactDescription("nu_max", "number"),
                FactDescription("quality", "string"),
            ],
        ),
        **fields,
    )


def reading(producer: str = "msap1", **fields: Any) -> StepDescription:
    """A step that reads what another one published."""
    folder = f"q1/KIC1/{producer}"
    one = InputDescription("IN", "products", f"{folder}/OUT.h5", producer=folder, output="OUT")
    return step("msap2", inputs=[one], **fields)


@dataclass
class Pod:
    """The volumes of one pod, with the star's light curve in place."""

    root: Path

    def __post_init__(self) -> None:
        self.roots = Roots(
            self.root / "sas/inputs", self.root / "sas/products", self.root / "sas/work",
            self.root / "dev/termination-log"
        )  # fmt: skip
        for folder in (self.roots.inputs / "q1/KIC1", self.roots.products, self.roots.work, self.root / "dev"):
            folder.mkdir(parents=True)
        self.light_curve = self.roots.inputs / "q1/KIC1/lc.h5"
        self.light_curve.write_bytes(LIGHT_CURVE)
        self.star = self.roots.products / "q1/KIC1"

    def out(self, stage: Stage, name: str = "msap1") -> Path:
        return self.roots.products / stage.attempt_folder / name

    def begin(self, *steps: StepDescription, attempt: str = "try-1") -> Stage:
        stage = Stage(attempt, "KIC1", "q1", list(steps or [step()]))
        stage_in(stage, self.roots)
        return stage

    def run(self, content: bytes = b"result", attempt: str = "try-1", **fields: Any) -> Published:
        stage = self.begin(step(**fields), attempt=attempt)
        (self.out(stage) / "OUT.h5").write_bytes(content)
        return publish(self.roots)

    def manifest(self, name: str = "msap1") -> dict[str, Any]:
        return json.loads((self.star / name / "manifest.json").read_text())

    def visible(self) -> list[str]:
        """What somebody who looks at the star's products sees."""
        return sorted(path.name for path in self.star.iterdir() if not path.name.startswith("."))


def unpublished(pod: Pod) -> Problem:
    with pytest.raises(Problem) as error:
        publish(pod.roots)
    assert pod.visible() == [], "something of a bad step is visible"
    return error.value
