"""After the modules: check the declared outputs, write the manifest, rename into place."""

import ctypes
import errno
import json
import os
import platform
import shutil
from datetime import UTC, datetime
from pathlib import Path

from plato_sas import __version__
from plato_sas.stager.description import Stage, StepDescription
from plato_sas.stager.facts import FACTS, FactsInvalid, read_facts
from plato_sas.stager.files import NotAFile, open_regular, sha256, sync_folder, write_durably
from plato_sas.stager.manifest import MANIFEST, SCHEMA, PublishedFile, outputs_digest
from plato_sas.stager.messages import LIMIT, Problem, Published, PublishedStep
from plato_sas.stager.roots import Roots


def publish(roots: Roots) -> Published:
    """Publish every step of the stage that stage-in has described. Raises Problem; the step is then not visible.

    All steps are checked before the first one is renamed into place.
    """
    stage = Stage.from_json((roots.work / "stage.json").read_text())
    inputs: dict[str, str] = json.loads((roots.work / "inputs.json").read_text())
    attempt = roots.products / stage.attempt_folder
    reports: dict[str, PublishedStep] = {}
    for step in stage.steps:
        reports[step.name] = _prepare(stage, step, attempt / step.name, inputs)
    report = Published(reports)
    size = len(report.to_json())
    if size > LIMIT:
        message = f"the facts are too large: the report has {size} bytes, {LIMIT} fit"
        raise Problem(stage.steps[-1].name, "FactsInvalid", message)
    for step in stage.steps:
        _move_into_place(attempt / step.name, roots.products / stage.folder / step.name)
    shutil.rmtree(attempt, ignore_errors=True)
    return report


def _prepare(stage: Stage, step: StepDescription, folder: Path, inputs: dict[str, str]) -> PublishedStep:
    outputs, missing = _outputs(step, folder)
    try:
        facts = read_facts(folder, step.facts)
    except FactsInvalid as error:
        raise Problem(step.name, "FactsInvalid", f"step {step.name}: {error}") from error
    undeclared = _remove_undeclared(step, folder)
    digest = outputs_digest(outputs)
    own = {key.split("/", 1)[1]: value for key, value in inputs.items() if key.startswith(f"{step.name}/")}
    manifest = {
        "schema": SCHEMA,
        "star": stage.star,
        "campaign": stage.campaign,
        "step": step.name,
        "module": {
            "name": step.module,
            "version": step.version,
            "image": step.image,
            "imageDigest": step.image.partition("@")[2] or None,
            "command": step.command,
            "args": step.args,
        },
        "parameters": step.parameters,
        "inputs": {
            one.name: {"volume": one.volume, "path": one.path, "sha256": own.get(one.name)} for one in step.inputs
        },
        "outputs": {name: file.__dict__ for name, file in outputs.items()},
        "facts": facts,
        "digest": digest,
        "attempt": step.attempt,
        "attemptId": stage.id,
        "seed": step.seed,
        "undeclaredFilesRemoved": undeclared,
        "publishedAt": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "node": os.environ.get("SAS_NODE"),
        "versions": {"plato-sas": __version__, "python": platform.python_version()},
    }
    write_durably(folder / MANIFEST, json.dumps(manifest, indent=2) + "\n")
    sync_folder(folder)
    return PublishedStep(digest, facts, missing)


def _outputs(step: StepDescription, folder: Path) -> tuple[dict[str, PublishedFile], list[str]]:
    """The declared outputs that are there, and the optional ones that are not."""
    found: dict[str, PublishedFile] = {}
    missing: list[str] = []
    for output in step.outputs:
        try:
            descriptor = open_regular(folder / output.path)
        except FileNotFoundError:
            if output.optional:
                missing.append(output.name)
                continue
            message = (
                f"step {step.name}: output {output.name}: /sas/out/{output.path} does not exist, "
                "although the module ended with exit code 0"
            )
            raise Problem(step.name, "OutputMissing", message) from None
        except NotAFile as error:
            message = f"step {step.name}: output {output.name}: /sas/out/{error}"
            raise Problem(step.name, "OutputInvalid", message) from None
        with open(descriptor, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            if size == 0:
                message = f"step {step.name}: output {output.name}: /sas/out/{output.path} is empty"
                raise Problem(step.name, "OutputInvalid", message)
            found[output.name] = PublishedFile(output.path, size, sha256(file.fileno()))
            os.fchmod(file.fileno(), 0o444)  # published products do not change
            os.fsync(file.fileno())
    return found, missing


def _remove_undeclared(step: StepDescription, folder: Path) -> int:
    """Drop what the module did not declare; the manifest says how many entries there were."""
    declared = {output.path for output in step.outputs}
    removed = 0
    with os.scandir(folder) as entries:
        for entry in entries:
            if entry.name in declared:
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
            removed += entry.name != FACTS
    return removed


def _move_into_place(source: Path, target: Path) -> None:
    """Make a step visible in one instant, in the place of an older one if there is one."""
    try:
        os.rename(source, target)
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
            raise
        _exchange(source, target)
        shutil.rmtree(source)
    sync_folder(target.parent)


_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def _exchange(source: Path, target: Path) -> None:
    """Swap two folders atomically (Linux renameat2); where the file system cannot, in two renames."""
    renameat2 = getattr(ctypes.CDLL(None, use_errno=True), "renameat2", None)
    if renameat2 is not None:
        result = renameat2(_AT_FDCWD, os.fsencode(source), _AT_FDCWD, os.fsencode(target), _RENAME_EXCHANGE)
        if result == 0:
            return
        if ctypes.get_errno() not in (errno.EINVAL, errno.ENOSYS, errno.ENOTSUP):
            raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()), str(target))
    aside = source.with_name(source.name + ".replaced")
    os.rename(target, aside)
    os.rename(source, target)
    os.rename(aside, source)
