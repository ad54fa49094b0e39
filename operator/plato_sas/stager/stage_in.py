"""Before the modules: a fresh attempt folder, verified inputs, parameters written."""

import json
import os
import shutil
from contextlib import suppress
from pathlib import Path

from plato_sas.stager.description import InputDescription, Stage, StepDescription
from plato_sas.stager.files import NotAFile, canonical, open_regular, sha256
from plato_sas.stager.manifest import MANIFEST, output_digest
from plato_sas.stager.messages import Problem, StagedIn
from plato_sas.stager.roots import Roots


def stage_in(stage: Stage, roots: Roots) -> StagedIn:
    """Prepare a stage. Raises Problem, naming the step, the input and the file, or OSError; then no module starts.

    Inputs that a step of the same stage makes do not exist yet and carry neither digest nor producer.
    """
    made_here = {step.name for step in stage.steps}
    _clear_older_attempts(stage, roots.products, made_here)
    externals: dict[str, str] = {}
    verified: dict[str, str] = {}
    for step in stage.steps:
        for one in step.inputs:
            if _made_in_stage(stage, one):
                continue
            digest = _verify(step, one, roots)
            verified[f"{step.name}/{one.name}"] = digest
            if one.volume == "inputs":
                externals[one.name] = digest
        (roots.products / stage.attempt_folder / step.name).mkdir(parents=True)
        (roots.work / f"{step.name}.params.json").write_text(canonical(step.parameters))
    (roots.work / "inputs.json").write_text(json.dumps(verified))
    (roots.work / "stage.json").write_text(stage.to_json())
    return StagedIn(externals)


def _made_in_stage(stage: Stage, one: InputDescription) -> bool:
    return one.volume == "products" and one.path.startswith(f"{stage.attempt_folder}/")


def _clear_older_attempts(stage: Stage, products: Path, steps: set[str]) -> None:
    """Remove what earlier attempts at these steps left.

    An attempt at a step begins when the one before has ended. A pod that runs on nevertheless (its star was deleted
    and created anew, or its node is out of reach) loses its folder here.
    """
    attempts = products / stage.attempts_folder
    if not attempts.is_dir():
        return
    for attempt in attempts.iterdir():
        mine = [attempt / step for step in steps if (attempt / step).exists()]
        for folder in mine:
            shutil.rmtree(folder, ignore_errors=True)
        if mine:  # another step's attempt, which may be beginning or ending right now, is left alone
            with suppress(OSError):
                attempt.rmdir()


def _verify(step: StepDescription, one: InputDescription, roots: Roots) -> str:
    where = f"step {step.name}: input {one.name}: {one.volume} volume: {one.path}"
    root = roots.inputs if one.volume == "inputs" else roots.products
    path = root / one.path
    # A link could lead out of the volume; the module would then be shown another file than was verified.
    # (Path.resolve would raise RuntimeError for links in a circle; opening it says ELOOP.)
    if not Path(os.path.realpath(path.parent)).is_relative_to(root.resolve()):
        raise Problem(step.name, "InputInvalid", f"{where} leads out of the volume")
    try:
        descriptor = open_regular(path)
    except FileNotFoundError:
        raise Problem(step.name, "InputMissing", f"{where} does not exist") from None
    except NotAFile as error:
        raise Problem(step.name, "InputInvalid", f"{where}: {error}") from None
    with open(descriptor, "rb") as file:
        digest = sha256(file.fileno())
    expected = one.sha256
    if one.producer is not None and one.output is not None:
        expected = output_digest(roots.products / one.producer / MANIFEST, one.output)
        if expected is None:
            raise Problem(step.name, "InputInvalid", f"{where} is not in the manifest of {one.producer}")
    if expected is not None and digest != expected:
        raise Problem(step.name, "ChecksumMismatch", f"{where} has SHA-256 {digest}, expected {expected}")
    return digest
