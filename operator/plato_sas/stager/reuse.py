"""Reuse by key: a step does not run again if a published manifest has the same key."""

import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from plato_sas.stager.description import Stage, StepDescription
from plato_sas.stager.files import NotAFile, copy_regular, sync_folder, timestamp, write_durably
from plato_sas.stager.manifest import MANIFEST, Manifest, PublishedFile, image_digest, step_key
from plato_sas.stager.messages import PublishedStep, StagedIn, room, without_digests
from plato_sas.stager.placing import move_into_place
from plato_sas.stager.record import remove_if_empty

Digests = Mapping[str, Mapping[str, str]]


def find_reused(stage: Stage, inputs: Digests, products: Path) -> dict[str, PublishedStep]:
    """The steps of a stage whose products exist already; those of another campaign are linked into this one.

    `inputs`: SHA-256 of the existing inputs, by step and input. Returns as many steps as a report has room for; the
    others are found in a later stage. Raises OSError.
    """
    reused: dict[str, PublishedStep] = {}
    made: dict[str, Manifest] = {}
    for step in stage.steps:
        digests = _input_digests(step, inputs, made)
        if digests is None:
            continue
        found = _find(stage, step, step_key(step, digests), products)
        if found is None:
            continue
        campaign, manifest = found
        report = {**reused, step.name: manifest.report._replace(job=manifest.made_by)}
        if len(StagedIn(reused=without_digests(report)).to_json()) > room(stage.containers):
            break
        if campaign != stage.campaign:
            _adopt(stage, step, products / campaign / stage.star / step.name, manifest, products)
        reused, made[step.name] = report, manifest
    return reused


def _input_digests(step: StepDescription, inputs: Digests, made: Mapping[str, Manifest]) -> dict[str, str] | None:
    """Every input's SHA-256; None if one has yet to be produced."""
    digests = dict(inputs.get(step.name, {}))
    for one in step.inputs:
        if one.made_by is None:
            continue
        if one.made_by not in made:
            return None
        output = made[one.made_by].outputs.get(one.output or one.name)
        if output is None:
            return None
        digests[one.name] = output.sha256
    return digests


def _find(stage: Stage, step: StepDescription, key: str, products: Path) -> tuple[str, Manifest] | None:
    """A published step with this key: its campaign and manifest."""
    for campaign in _campaigns(stage, step, products):
        folder = products / campaign / stage.star / step.name
        manifest = Manifest.read(folder)
        if manifest is None or manifest.document.get("key") != key or not manifest.complete(folder, step):
            continue
        if _may_stand_in(stage, step, manifest):
            return campaign, manifest
    return None


def _campaigns(stage: Stage, step: StepDescription, products: Path) -> Iterator[str]:
    yield stage.campaign
    if step.forced is not None or image_digest(step.image) is None:
        return
    with os.scandir(products) as entries:
        folders = (one.name for one in entries if one.is_dir(follow_symlinks=False))
        others = sorted((name for name in folders if not name.startswith(".")), reverse=True)
    yield from (one for one in others if one != stage.campaign)


def _may_stand_in(stage: Stage, step: StepDescription, manifest: Manifest) -> bool:
    mine = manifest.document.get("processing") == stage.processing
    if step.forced is not None:
        return mine and manifest.document.get("rerun") == step.forced
    # A tag may name another image tomorrow: only what this very star has made with it is known to be the same.
    return mine or image_digest(step.image) is not None


def _adopt(stage: Stage, step: StepDescription, source: Path, manifest: Manifest, products: Path) -> None:
    """Publish another campaign's products in this one: the same files with a new manifest."""
    folder = products / stage.attempt_folder / step.name
    folder.mkdir(parents=True)
    for output in manifest.outputs.values():
        _link(source, folder, output)
    old = manifest.document
    document = {
        **old,
        "campaign": stage.campaign,
        "attemptId": stage.id,
        "processing": stage.processing,
        "rerun": stage.rerun,
        "publishedAt": timestamp(),
        "reusedFrom": {name: old.get(name) for name in ("campaign", "attemptId", "publishedAt")},
    }
    write_durably(folder / MANIFEST, json.dumps(document, indent=2) + "\n")
    sync_folder(folder)
    move_into_place(folder, products / stage.folder / step.name)
    remove_if_empty(folder.parent)


def _link(source: Path, folder: Path, output: PublishedFile) -> None:
    """Hard-link an output into a folder, or copy it if links are not possible. Raises OSError."""
    try:
        os.link(source / output.path, folder / output.path, follow_symlinks=False)
    except OSError:
        try:
            digest = copy_regular(source / output.path, folder / output.path, durable=True)
        except NotAFile as error:
            raise OSError(f"{source}: {error}") from None
        if digest != output.sha256:
            raise OSError(f"{source / output.path} changed while it was read") from None
