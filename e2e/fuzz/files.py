"""What modules leave behind, read by the real readers: facts, termination messages, manifests, products."""

import io
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from typing import Any

import h5py
import numpy as np

from e2e.fuzz import hostile
from e2e.fuzz.tally import sentence
from plato_sas.api import StarProcessingStatus
from plato_sas.collector.order import ColumnOrder
from plato_sas.collector.values import ValueInvalid, values
from plato_sas.stager.description import FactDescription
from plato_sas.stager.facts import FactsInvalid, read_facts
from plato_sas.stager.manifest import MANIFEST, SCHEMA, Manifest
from plato_sas.stager.messages import parse_problem, parse_published, parse_staged_in

_DECLARED = [FactDescription(f"f{kind[0]}", kind) for kind in ("boolean", "integer", "number", "string")]
_FACTS = {"fb": True, "fi": 7, "fn": 3.5, "fs": "quiet"}
_STEP = {"digest": "a" * 64, "facts": _FACTS, "missing": ["X"]}
_REPORTS: tuple[Any, ...] = (
    {"inputs": {"DP1": "b" * 64}, "reused": {"a": _STEP}},
    {"steps": {"a": _STEP, "b": _STEP}, "failed": {"c": {"reason": "OutputMissing", "message": "no OUT"}}},
    {"error": {"step": "a", "reason": "InputMissing", "message": "no such file"}},
)
_MANIFEST = {
    "schema": SCHEMA, "digest": "a" * 64, "facts": _FACTS, "missing": ["X"], "key": "k", "attemptId": "try-1",
    "outputs": {"OUT": {"path": "out.h5", "size": 6, "sha256": "c" * 64}},
}  # fmt: skip
_COLUMNS = [ColumnOrder(f"c{kind[0]}", kind, "a", None, "OUT", f"/{kind}") for kind in ("number", "string")]


def _bytes(document: Any, luck: Random) -> bytes:
    """A document as a file has it, sometimes broken."""
    try:
        text = json.dumps(document, ensure_ascii=luck.random() < 0.5)
    except (ValueError, RecursionError):
        text = "["
    content = text.encode(errors="surrogatepass")
    match luck.randrange(8):
        case 0:
            cut = luck.randrange(len(content) + 1)
            return content[:cut]
        case 1:
            return content + luck.randbytes(luck.randrange(40))
        case 2:
            return luck.randbytes(luck.randrange(200))
        case 3:
            return b"[" * 100_000
    return content


def _document(base: Any, luck: Random) -> Any:
    return hostile.nested(luck) if luck.random() < 0.05 else hostile.spoiled(base, luck, luck.randrange(4))


def facts(luck: Random) -> str:
    """Facts are refused by a sentence, or fit into a status."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "facts.json")
        path.write_bytes(_bytes(_document(_FACTS, luck), luck))
        try:
            found = read_facts(path, _DECLARED)
        except FactsInvalid as refusal:
            return sentence(refusal, "refused")
    status = StarProcessingStatus.model_validate({"facts": {"a": found}})
    json.dumps(status.to_dict(), ensure_ascii=False).encode()
    return "taken"


def message(luck: Random) -> str:
    """A termination message is a report that fits into a status, or none."""
    text = _bytes(_document(luck.choice(_REPORTS), luck), luck).decode(errors="replace")
    staged, published, problem = parse_staged_in(text), parse_published(text), parse_problem(text)
    steps = {**(staged.reused if staged else {}), **(published.steps if published else {})}
    for one in steps.values():
        step = {"name": "a", "digest": one.digest, "missing": one.missing or None}
        StarProcessingStatus.model_validate({"steps": [step], "facts": {"a": one.facts}})
    return "a report" if staged or published or problem else "none"


def manifest(luck: Random) -> str:
    """A manifest can be read, or is none."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, MANIFEST).write_bytes(_bytes(_document(_MANIFEST, luck), luck))
        found = Manifest.read(Path(folder))
    if found is None:
        return "none"
    assert isinstance(found.report.digest, str)
    assert all("/" not in one.path for one in found.outputs.values())
    return "a manifest"


def product(luck: Random) -> str:
    """Columns get values of their type from a product, or a sentence that says why not."""
    if luck.random() < 0.3:
        content, path = _bytes(_document({"number": 3.5, "string": "a"}, luck), luck), "out.json"
    else:
        content, path = _hdf5(luck), "out.h5"
    try:
        found = values(path, content, _COLUMNS)
    except ValueInvalid as refusal:
        return sentence(refusal, "refused")
    for column, value in found.items():
        assert isinstance(value, {"number": float, "string": str}[column.type])
    return "read"


def _hdf5(luck: Random) -> bytes:
    memory = io.BytesIO()
    with h5py.File(memory, "w") as file:
        group = file.create_group(luck.choice(("PRODUCTS/OUT", "EXTERNALS/OUT", "OUT", "PRODUCTS")))
        for name in ("number", "string"):
            _dataset(group, name, luck)
    content = bytearray(memory.getvalue())
    for _ in range(luck.choice((0, 0, 0, 1, 8))):
        content[luck.randrange(len(content))] = luck.randrange(256)
    return bytes(content[: luck.randrange(len(content))] if luck.random() < 0.1 else content)


def _dataset(group: h5py.Group, name: str, luck: Random) -> None:
    shape = luck.choice(((), (1,), (0,), (2, 2), (1, 1)))
    kind = luck.choice(
        ("f8", "f4", "i8", "u8", "i1", "S8", "c16", "text", "missing", "group", "link", "enum", "compound")
    )
    match kind:
        case "missing":
            return
        case "group":
            group.create_group(name)
        case "link":
            group[name] = h5py.SoftLink(luck.choice(("/nowhere", f"{group.name}/{name}", "/")))
        case "text":
            group.create_dataset(name, data=luck.choice(("a", "µHz", "x" * 100_000, "")), dtype=h5py.string_dtype())
        case "enum":
            group.create_dataset(name, data=1, dtype=h5py.enum_dtype({"a": 0, "b": 1}))
        case "compound":
            group.create_dataset(name, data=np.zeros(shape, dtype=[("a", "f8"), ("b", "S4")]))
        case _:
            group.create_dataset(name, data=np.full(shape, luck.choice((0, 1, 7)), dtype=kind))


KINDS: dict[str, Callable[[Random], str]] = {
    "facts": facts,
    "message": message,
    "manifest": manifest,
    "product": product,
}
