"""After the modules: check the declared outputs, write the manifest, rename into place."""

import json
import os
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from plato_sas import __version__
from plato_sas.stager.description import InputDescription, PublishOrder, Stage, StepDescription
from plato_sas.stager.facts import FACTS, FactsInvalid, read_facts
from plato_sas.stager.files import NotAFile, identity, open_regular, sha256, sync_folder, timestamp, write_durably
from plato_sas.stager.manifest import MANIFEST, SCHEMA, Manifest, image_digest, outputs_digest, step_key
from plato_sas.stager.messages import Problem, Published, PublishedStep, Withheld, room, shortened
from plato_sas.stager.outputs import Outputs, remove_undeclared, take_outputs
from plato_sas.stager.placing import clear_up, move_into_place
from plato_sas.stager.record import AttemptRecord, remove_if_empty
from plato_sas.stager.removing import remove
from plato_sas.stager.roots import Roots


def publish(order: PublishOrder, roots: Roots) -> Published:
    """Publish the completed steps of an attempt, in the order of their stage.

    A step whose outputs are not as declared is withheld, and so are those that depend on it. Steps already published by
    this attempt are reported again, since publish may have been killed before its report was read. If the report is
    full, the remaining steps wait for another order. Raises OSError.
    """
    attempt = _Attempt(order, roots)
    published = Published()
    for name in attempt.ordered:
        checked = attempt.check(name)
        if checked is None:
            continue
        if isinstance(checked, Withheld):
            report = Published(published.steps, {**published.failed, name: checked})
        else:
            report = Published({**published.steps, name: checked.report}, published.failed)
        if report.fitted(attempt.room) is None:
            break
        if isinstance(checked, _Checked):
            attempt.place(name, checked)
        published = report
    remove_if_empty(attempt.folder)
    return published.fitted(attempt.room) or published


class _Checked(NamedTuple):
    """A step that may be published. `inputs`: SHA-256 by name; None if it was published before."""

    report: PublishedStep
    outputs: Outputs
    inputs: Mapping[str, str] | None


class _Attempt:
    """The attempt whose steps are published. `ordered`: the steps to publish now, in topological order."""

    def __init__(self, order: PublishOrder, roots: Roots) -> None:
        self._order = order
        self.room = room(order.containers)
        self._inputs = roots.inputs
        self._published_in = roots.products / order.folder
        self.folder = roots.products / order.attempt_folder
        self._record = AttemptRecord.read(self.folder)
        steps = self._record.stage.steps if self._record is not None else []
        self._described = {step.name: step for step in steps}
        self.ordered = [name for name in self._described if name in order.steps]
        self.ordered += [name for name in order.steps if name not in self._described]
        self._made: dict[str, Outputs] = {}

    def check(self, name: str) -> _Checked | Withheld | None:
        """Check a step; None if it depends on one that may not be published. Removes nothing yet."""
        earlier = self._published_before(name)
        if earlier is not None:
            return _Checked(earlier.report, dict(earlier.outputs), None)
        try:
            return self._checked(name)
        except Problem as problem:
            # One report may have to hold several.
            return Withheld(problem.reason, shortened(problem.message, self.room // 3))

    def place(self, name: str, checked: _Checked) -> None:
        """Make a checked step visible, and finish what a killed run left undone."""
        folder = self.folder / name
        if checked.inputs is None or self._record is None:
            sync_folder(self._published_in)
            clear_up(folder)
        else:
            step = self._described[name]
            if all(output.path != FACTS for output in step.outputs):
                # Still needed if this run is killed before the step is visible.
                with suppress(FileNotFoundError):
                    os.rename(folder / FACTS, self._facts_aside(name))
            undeclared = remove_undeclared(step, folder)
            document = _manifest(self._record.stage, step, checked, checked.inputs)
            document["undeclaredFilesRemoved"] = undeclared
            write_durably(folder / MANIFEST, json.dumps(document, indent=2) + "\n")
            sync_folder(folder)
            move_into_place(folder, self._published_in / name)
        remove(self._facts_aside(name))
        self._made[name] = checked.outputs

    def _facts_aside(self, name: str) -> Path:
        return self.folder / f".{name}.{FACTS}"

    def _published_before(self, name: str) -> Manifest | None:
        manifest = Manifest.read(self._published_in / name)
        mine = manifest is not None and manifest.document.get("attemptId") == self._order.attempt
        return manifest if mine else None

    def _checked(self, name: str) -> _Checked | None:
        step, folder = self._described.get(name), self.folder / name
        if self._record is None or step is None or folder.is_symlink() or not folder.is_dir():
            message = f"step {name}: its outputs are gone from {self._order.attempt_folder}"
            raise Problem(name, "OutputLost", message)
        made = self._inputs_made(step)
        if made is None:
            return None
        for one in step.inputs:
            self._check_unchanged(step, one, self._record)
        folder.chmod(0o755)  # the module could have changed it
        outputs, missing = take_outputs(step, folder, self._order.max_size)
        aside = self._facts_aside(name)
        try:
            facts = read_facts(aside if aside.exists() else folder / FACTS, step.facts)
        except FactsInvalid as error:
            raise Problem(name, "FactsInvalid", f"step {name}: {error}") from error
        report = PublishedStep(outputs_digest(outputs), facts, missing)
        if Published({name: report}).fitted(room(1)) is None:
            message = f"step {name}: {FACTS}: too large: with it the step's report has more than {room(1)} bytes"
            raise Problem(name, "FactsInvalid", message)
        return _Checked(report, outputs, {**self._record.inputs.get(name, {}), **made})

    def _check_unchanged(self, step: StepDescription, one: InputDescription, record: AttemptRecord) -> None:
        """Each container mounted the file that was there at its start: if stage-in's is no longer there, which one did
        the module read? Raises Problem, OSError.
        """
        before = record.externals.get(one.path)
        if before is None or one.late or one.volume != "inputs":
            return
        where = f"step {step.name}: input {one.name}: inputs volume: {one.path}"
        try:
            descriptor = open_regular(self._inputs / one.path)
        except (FileNotFoundError, NotAFile):
            message = f"{where} was removed while its stage ran"
            raise Problem(step.name, "ChecksumMismatch", message) from None
        with open(descriptor, "rb") as file:
            if identity(file.fileno()) == before:
                return
            now, known = sha256(file.fileno()), record.inputs[step.name][one.name]
        if now != known:
            message = f"{where} was changed while its stage ran: SHA-256 {known} before, {now} after"
            raise Problem(step.name, "ChecksumMismatch", message)

    def _inputs_made(self, step: StepDescription) -> dict[str, str] | None:
        """SHA-256 of the inputs produced by steps of the same stage; None if one of these is withheld."""
        found = {}
        for one in step.inputs:
            if one.made_by is None:
                continue
            outputs = self._outputs_of(one.made_by)
            where = f"step {step.name}: input {one.name}: step {one.made_by}"
            if outputs is None:
                if one.made_by in self.ordered:
                    return None
                raise Problem(step.name, "OutputLost", f"{where} made it and is not published by this attempt")
            output = outputs.get(one.output or one.name)
            if output is None:
                raise Problem(step.name, "InputMissing", f"{where} did not write it")
            found[one.name] = output.sha256
        return found

    def _outputs_of(self, name: str) -> Outputs | None:
        if name not in self._made:
            earlier = self._published_before(name)
            if earlier is None:
                return None
            self._made[name] = dict(earlier.outputs)
        return self._made[name]


def _manifest(stage: Stage, step: StepDescription, checked: _Checked, inputs: Mapping[str, str]) -> dict[str, object]:
    return {
        "schema": SCHEMA,
        "star": stage.star,
        "campaign": stage.campaign,
        "step": step.name,
        "module": {
            "name": step.module,
            "version": step.version,
            "image": step.image,
            "imageDigest": image_digest(step.image),
            "command": step.command,
            "args": step.args,
        },
        "parameters": step.parameters,
        "inputs": {
            one.name: {
                "volume": one.volume,
                "path": f"{stage.folder}/{one.made_by}/{Path(one.path).name}" if one.made_by else one.path,
                "sha256": inputs[one.name],
            }
            for one in step.inputs
            if one.name in inputs
        },
        "outputs": {name: file._asdict() for name, file in checked.outputs.items()},
        "missing": checked.report.missing,
        "facts": checked.report.facts,
        "digest": checked.report.digest,
        "key": step_key(step, inputs),
        "attempt": step.attempt,
        "attemptId": stage.id,
        "processing": stage.processing,
        "rerun": stage.rerun,
        "seed": step.seed,
        "publishedAt": timestamp(),
        "node": os.environ.get("SAS_NODE"),
        "versions": {"plato-sas": __version__, "python": ".".join(map(str, sys.version_info[:3]))},
    }
