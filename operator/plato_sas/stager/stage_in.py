"""Before the modules: verify inputs, find reusable steps, prepare the attempt's folder and parameters."""

import os
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from plato_sas.stager.description import UPSTREAM, InputDescription, Stage, StepDescription
from plato_sas.stager.files import NotAFile, canonical, copy_regular, identity, open_regular, sha256
from plato_sas.stager.manifest import Manifest
from plato_sas.stager.messages import Problem, StagedIn
from plato_sas.stager.record import RECORD, AttemptRecord, remove_if_empty
from plato_sas.stager.removing import remove
from plato_sas.stager.reuse import find_reused
from plato_sas.stager.roots import Roots


class _Hashed(NamedTuple):
    """A file's SHA-256, and its identity when it was read."""

    sha256: str
    identity: list[int]


class _Verified(NamedTuple):
    """An existing input."""

    description: InputDescription
    path: Path
    file: _Hashed

    @property
    def sha256(self) -> str:
        return self.file.sha256


def check(stage: Stage, roots: Roots) -> StagedIn:
    """Report the steps of a stage that need not run, and prepare nothing.

    Raises Problem, naming the step, the input and the file, or OSError.
    """
    return _looked(stage, _verified(stage, roots), roots)


def stage_in(stage: Stage, roots: Roots) -> StagedIn:
    """Prepare a stage, or report its steps that need not run; then nothing is prepared.

    Raises Problem, naming the step, the input and the file, or OSError; then no module starts. Inputs produced by steps
    of the same stage do not exist yet.
    """
    _clear_older_attempts(stage, roots.products)
    verified = _verified(stage, roots)
    staged = _looked(stage, verified, roots)
    if staged.reused:
        return staged
    for step in stage.steps:
        (roots.products / stage.attempt_folder / step.name).mkdir(parents=True)
        _furnish(step, verified[step.name], roots)
    mounted = {one.description.path: one.file.identity for one in _outside(verified) if not one.description.late}
    AttemptRecord(stage, _digests(verified), mounted).write(roots.products / stage.attempt_folder)
    return staged


def _verified(stage: Stage, roots: Roots) -> dict[str, list[_Verified]]:
    verify = _Verifier(stage, roots)
    return {step.name: verify.inputs(step) for step in stage.steps}


def _digests(verified: dict[str, list[_Verified]]) -> dict[str, dict[str, str]]:
    return {name: {one.description.name: one.sha256 for one in found} for name, found in verified.items()}


def _outside(verified: dict[str, list[_Verified]]) -> list[_Verified]:
    """The external inputs."""
    return [one for found in verified.values() for one in found if one.description.volume == "inputs"]


def _looked(stage: Stage, verified: dict[str, list[_Verified]], roots: Roots) -> StagedIn:
    """The digests of external inputs, and the steps that need not run."""
    externals = {one.description.external or one.description.name: one.sha256 for one in _outside(verified)}
    return StagedIn(externals, find_reused(stage, _digests(verified), roots.products))


def _clear_older_attempts(stage: Stage, products: Path) -> None:
    """Remove what earlier attempts at these steps left.

    An attempt at a step begins after the previous one has finished. A pod that still runs (its star was deleted and
    created again, or its node is unreachable) loses its folder here.
    """
    attempts = products / stage.attempts_folder
    if not attempts.is_dir():
        return
    for attempt in attempts.iterdir():
        mine = [attempt / step.name for step in stage.steps if (attempt / step.name).exists()]
        for folder in mine:
            # Moved away atomically: a publish that still runs finds all of it or nothing, and never moves a folder
            # into place that is being emptied.
            aside = attempt / f".cleared-{os.urandom(8).hex()}"
            with suppress(FileNotFoundError):
                os.rename(folder, aside)
            remove(aside)
        # Another attempt without steps and record may be one that begins right now.
        if mine or attempt.name == stage.id or (attempt / RECORD).exists():
            remove_if_empty(attempt)


class _Verifier:
    """Verifies inputs, and reads each file once."""

    def __init__(self, stage: Stage, roots: Roots) -> None:
        self._stage = stage
        self._roots = roots
        self._hashed: dict[Path, _Hashed] = {}

    def inputs(self, step: StepDescription) -> list[_Verified]:
        """The inputs of a step that exist. Raises Problem, OSError."""
        found = (self._verify(step, one) for one in step.inputs if one.made_by is None)
        return [one for one in found if one is not None]

    def _verify(self, step: StepDescription, one: InputDescription) -> _Verified | None:
        """None for an absent optional input."""
        roots, relative, expected = self._roots, one.path, one.sha256
        root = roots.inputs if one.volume == "inputs" else roots.products
        where = f"step {step.name}: input {one.name}: {one.volume} volume: {relative}"
        if one.producer is not None and one.output is not None:
            manifest = Manifest.read(roots.products / one.producer)
            output = manifest.outputs.get(one.output) if manifest is not None else None
            if output is None and (root / relative).exists():
                raise Problem(step.name, "InputInvalid", f"{where} is not in the manifest of {one.producer}")
            if output is not None:
                expected = output.sha256
                if one.late:  # a mounted input has the description's path
                    relative = f"{one.producer}/{output.path}"
        path = root / relative
        problem = self._misplaced(one, root, path)
        if problem is not None:
            raise Problem(step.name, "InputInvalid", f"{where} {problem}")
        try:
            file = self._read(path)
        except FileNotFoundError:
            if one.optional and expected is None:  # not known to exist
                return None
            raise Problem(step.name, "InputMissing", f"{where} does not exist") from None
        except NotAFile as error:
            raise Problem(step.name, "InputInvalid", f"{where}: {error}") from None
        if expected is not None and file.sha256 != expected:
            raise Problem(step.name, "ChecksumMismatch", f"{where} has SHA-256 {file.sha256}, expected {expected}")
        if one.known is not None and file.sha256 != one.known:
            message = f"{where} has SHA-256 {file.sha256}, but an earlier step of this run has read {one.known}"
            raise Problem(step.name, "ChecksumMismatch", message)
        return _Verified(one, path, file)

    def _misplaced(self, one: InputDescription, root: Path, path: Path) -> str | None:
        """What is wrong with where a file really is.

        A link could lead out of the volume; the module would then see another file than the verified one.
        """
        # Path.resolve would raise RuntimeError for circular links; opening fails with ELOOP.
        folder = Path(os.path.realpath(path.parent))
        if not folder.is_relative_to(root.resolve()):
            return "leads out of the volume"
        if not one.chosen:
            return None
        allowed = [Path(os.path.realpath(root / prefix)) for prefix in self._stage.prefixes]
        if any(folder.is_relative_to(prefix) for prefix in allowed):
            return None
        folders = ", ".join(self._stage.prefixes) or "none"
        return f"is in no folder that a star's spec.inputs may name (controller.inputPrefixes: {folders})"

    def _read(self, path: Path) -> _Hashed:
        if path not in self._hashed:
            with open(open_regular(path), "rb") as file:
                known = identity(file.fileno())
                self._hashed[path] = _Hashed(sha256(file.fileno()), known)
        return self._hashed[path]


def _furnish(step: StepDescription, verified: list[_Verified], roots: Roots) -> None:
    """Prepare the module's /sas: parameters, late inputs as files, mount points."""
    tree = roots.work / step.name
    for name in ("in", "out", UPSTREAM, "params.json"):
        remove(tree / name)  # left by a run that was killed
    folder = tree / "in"
    folder.mkdir(parents=True)
    (tree / "out").mkdir()
    (tree / "params.json").write_text(canonical(step.parameters))
    for one in step.inputs:
        if one.made_by is not None:
            (tree / UPSTREAM / one.made_by).mkdir(parents=True, exist_ok=True)
            (folder / one.name).symlink_to(f"../{UPSTREAM}/{one.made_by}/{one.file.name}")
        elif not one.late:
            (folder / one.name).touch()
    for found in verified:
        if not found.description.late:
            continue
        name = found.description.name
        try:
            digest = copy_regular(found.path, folder / name)
        except NotAFile as error:
            raise Problem(step.name, "InputInvalid", f"step {step.name}: input {name}: {error}") from None
        if digest != found.sha256:
            message = f"step {step.name}: input {name}: {found.path.name} changed while it was read"
            raise Problem(step.name, "ChecksumMismatch", message)
