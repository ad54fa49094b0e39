"""Read one star's rows from the product tree; only products that match their manifest count."""

import hashlib
import os
from collections.abc import Mapping
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from plato_sas.collector.order import CatalogueOrder, ColumnOrder, StepOrder
from plato_sas.collector.values import Value, ValueInvalid, checked, values
from plato_sas.stager.files import NotAFile, open_regular
from plato_sas.stager.manifest import MANIFEST, SCHEMA, Manifest, PublishedFile

_LARGEST = 16 << 20  # bytes of a product with single values


class Unsound(Exception):
    """A product cannot be used; the message names its file."""


class _Moved(Exception):
    """A product differs from its manifest: it may just have been published again."""


class StepRead(NamedTuple):
    """A published step: the values of its columns, their provenance, and what made them."""

    values: Mapping[ColumnOrder, Value]
    provenance: tuple[str, ...]  # in the order of PROVENANCE
    made_by: tuple[str, str, str]  # module, version, image digest


class StarRead(NamedTuple):
    """One star: the steps found, and the problems of the others."""

    name: str
    steps: Mapping[str, StepRead]
    problems: Mapping[str, str]  # by step


def star_names(campaign: Path) -> list[str]:
    """The stars with a folder, in the order of their names. Raises OSError."""
    with os.scandir(campaign) as entries:
        return sorted(one.name for one in entries if not one.name.startswith(".") and one.is_dir(follow_symlinks=False))


def read_star(campaign: Path, name: str, order: CatalogueOrder) -> StarRead:
    """Raises OSError if the volume is at fault."""
    found: dict[str, StepRead] = {}
    problems: dict[str, str] = {}
    for step in order.steps:
        columns = [column for table in order.tables for column in table.columns if column.step == step.name]
        try:
            read = _read_step(campaign, name, step, columns, order.campaign)
        except Unsound as error:
            problems[step.name] = str(error)
            continue
        if read is not None:
            found[step.name] = read
    return StarRead(name, found, problems)


def _read_step(root: Path, star: str, step: StepOrder, columns: list[ColumnOrder], campaign: str) -> StepRead | None:
    folder = root / star / step.name
    try:
        return _read_once(folder, star, step, columns, campaign)
    except _Moved:
        pass
    try:
        return _read_once(folder, star, step, columns, campaign)
    except _Moved as error:
        raise Unsound(str(error)) from None


def _read_once(folder: Path, star: str, step: StepOrder, columns: list[ColumnOrder], campaign: str) -> StepRead | None:
    manifest = Manifest.read(folder)
    where = f"{campaign}/{star}/{step.name}"
    if manifest is None:
        if not os.path.lexists(folder):
            return None
        raise Unsound(f"{where}/{MANIFEST}: is missing, or not a manifest of the schema {SCHEMA}")
    document = manifest.document
    for key, expected in (("star", star), ("campaign", campaign), ("step", step.name)):
        if document.get(key) != expected:
            raise Unsound(f"{where}/{MANIFEST}: {key} is {document.get(key)!r}, not {expected!r}")
    module = document.get("module")
    if not isinstance(module, dict) or module.get("name") != step.module:
        made = module.get("name") if isinstance(module, dict) else None
        raise Unsound(f"{where}/{MANIFEST}: made by module {made!r}; the pipeline's step has {step.module!r}")
    try:
        found = _facts(document["facts"], columns)
    except ValueInvalid as error:
        raise Unsound(f"{where}/{MANIFEST}: {error}") from None
    for output, wanted in groupby(sorted(columns, key=_output), key=_output):
        product = manifest.outputs.get(output)
        if product is None:
            continue  # a fact's columns, or an optional output that the module did not write
        path = f"{where}/{product.path}"
        try:
            found |= values(product.path, _content(folder, product, path), list(wanted))
        except ValueInvalid as error:
            raise Unsound(f"{path}: {error}") from None
    provenance = (document.get("attemptId"), document["digest"], document.get("key"))
    made_by = (step.module, str(module.get("version")), str(module.get("imageDigest") or "no digest"))
    return StepRead(found, tuple(one if isinstance(one, str) else "" for one in provenance), made_by)


def _output(column: ColumnOrder) -> str:
    return column.output or ""


def _facts(facts: Mapping[str, object], columns: list[ColumnOrder]) -> dict[ColumnOrder, Value]:
    found = {}
    for column in columns:
        if column.fact is None:
            continue
        try:
            value = checked(facts.get(column.fact), column)
        except ValueInvalid as error:
            raise ValueInvalid(f"column {column.name}: facts: {column.fact}: {error}") from None
        if value is not None:
            found[column] = value
    return found


def _content(folder: Path, product: PublishedFile, where: str) -> bytes:
    """A product's bytes, if they are as published. Raises Unsound, _Moved, OSError."""
    if product.size > _LARGEST:
        raise Unsound(f"{where}: its {product.size} bytes are more than the {_LARGEST} of a product with single values")
    try:
        with open(open_regular(folder / product.path), "rb") as file:
            content = file.read(_LARGEST + 1)
    except FileNotFoundError:
        raise _Moved(f"{where}: is missing, although the manifest names it") from None
    except NotAFile as error:
        raise Unsound(f"{where}: {error}") from None
    if hashlib.sha256(content).hexdigest() != product.sha256:
        raise _Moved(f"{where}: its SHA-256 is not the manifest's: it was changed after publication")
    return content
