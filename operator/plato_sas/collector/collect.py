"""Make a catalogue of a campaign's products: read, write into an attempt's folder, put it into place atomically."""

import json
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import astropy
import h5py
import numpy as np

from plato_sas import __version__
from plato_sas.collector.files import Spool, sealed, write_ecsv, write_fits
from plato_sas.collector.order import ATTEMPTS, CatalogueOrder, catalogue_folder
from plato_sas.collector.reading import Batch, Maker, read_stars
from plato_sas.collector.report import FORMATS, CatalogueReport, TableReport
from plato_sas.collector.rows import Layout
from plato_sas.collector.tree import star_names
from plato_sas.stager.files import sync_folder, timestamp, write_durably
from plato_sas.stager.placing import move_into_place
from plato_sas.stager.removing import remove
from plato_sas.text import printable

SCHEMA = "plato-sas.io/catalogue/v1"
DOCUMENT = "catalogue.json"
PROBLEMS = "problems.txt"

_SAID_EVERY = 5.0  # seconds
_PROBLEMS_SAID = 20
_MAKERS_TOLD = 32  # per step: further versions of its module are summed up


class CollectionFailed(Exception):
    """No catalogue can be made; the message says why, in one line."""


class Roots(NamedTuple):
    """The campaign's folder in the product tree (read), and the folder for its catalogues (written)."""

    campaign: Path
    catalogues: Path


def attempts_folder(catalogues: Path, order: CatalogueOrder) -> Path:
    """The folder of a catalogue's unfinished attempts."""
    return catalogues / ATTEMPTS / order.name


def collect(order: CatalogueOrder, roots: Roots, say: Callable[[str], None]) -> CatalogueReport:
    """Make and publish the catalogue. `say` receives progress and problems, one line at a time.

    Raises CollectionFailed, or OSError if a volume is at fault.
    """
    attempts = attempts_folder(roots.catalogues, order)
    attempt = attempts / order.attempt
    remove(attempts)  # left by earlier attempts; one that still runs unseen loses its folder
    attempt.mkdir(parents=True)
    try:
        report = _Collection(order, roots, attempt, say).run()
        sync_folder(attempt)
        move_into_place(attempt, roots.catalogues / order.name)
        say(f"published {catalogue_folder(order.campaign, order.name)}")
        return report
    finally:
        shutil.rmtree(attempts, ignore_errors=True)


class _Collection:
    """One attempt at a catalogue."""

    def __init__(self, order: CatalogueOrder, roots: Roots, attempt: Path, say: Callable[[str], None]) -> None:
        self._order = order
        self._roots = roots
        self._attempt = attempt
        self._say = say
        self._spools = [Spool(Layout(table), attempt / f".{table.name}.rows") for table in order.tables]
        self._left_out = [0] * len(order.tables)
        self._makers: Counter[tuple[int, Maker]] = Counter()
        self._seen = self._without = self._wrong = self._problems = 0
        self._first_problem = ""

    def run(self) -> CatalogueReport:
        self._read_all()
        created = timestamp()
        tables = [self._write_table(number, created) for number in range(len(self._spools))]
        report = CatalogueReport(self._seen, self._without, self._wrong, tables)
        write_durably(self._attempt / DOCUMENT, json.dumps(self._document(report, created), indent=2) + "\n")
        (self._attempt / DOCUMENT).chmod(0o444)
        if self._problems:
            sealed(self._attempt / PROBLEMS)
        return report

    def _read_all(self) -> None:
        order = self._order
        names = sorted(order.stars) or star_names(self._roots.campaign)
        self._say(f"campaign {order.campaign}: {len(names)} stars, steps {', '.join(one.name for one in order.steps)}")
        progress = _Progress("read", len(names), self._say)
        with ExitStack() as opened:
            files = [opened.enter_context(spool.path.open("xb")) for spool in self._spools]
            problems = opened.enter_context((self._attempt / PROBLEMS).open("x", encoding="utf-8"))
            for batch in read_stars(self._roots.campaign, names, order):
                self._count(batch)
                for file, packed in zip(files, batch.packed, strict=True):
                    file.write(packed)
                for line in (printable(one).replace("\n", " ") for one in batch.problems):
                    self._tell(line)
                    problems.write(f"{line}\n")
                progress.reached(self._seen, f", {self._wrong} with problems")
        if not self._problems:
            (self._attempt / PROBLEMS).unlink()
        self._check()

    def _count(self, batch: Batch) -> None:
        self._seen += batch.stars
        self._without += batch.without_products
        self._wrong += batch.with_problems
        self._left_out = [sum(pair) for pair in zip(self._left_out, batch.left_out, strict=True)]
        self._makers.update(batch.makers)

    def _tell(self, problem: str) -> None:
        self._problems += 1
        self._first_problem = self._first_problem or problem
        if self._problems <= _PROBLEMS_SAID:
            self._say(f"problem: {problem}")
        elif self._problems == _PROBLEMS_SAID + 1:
            self._say(f"further problems are in {PROBLEMS}")

    def _check(self) -> None:
        if any(spool.rows for spool in self._spools):
            return
        if self._first_problem:
            raise CollectionFailed(f"no table has a row: {self._problems} problems, the first: {self._first_problem}")
        steps = ", ".join(step.name for step in self._order.steps)
        raise CollectionFailed(f"campaign {self._order.campaign!r}: none of {self._seen} stars has products of {steps}")

    def _write_table(self, number: int, created: str) -> TableReport:
        spool, name = self._spools[number], self._order.tables[number].name
        meta = self._meta(number, created)
        paths = {kind: self._attempt / f"{name}.{kind}" for kind in FORMATS}
        write_fits(spool, meta, paths["fits"])
        progress = _Progress(f"{name}.ecsv: wrote", spool.rows, self._say, "rows")
        write_ecsv(spool, meta, paths["ecsv"], progress.reached)
        rows = spool.rows
        spool.path.unlink()
        self._say(f"{name}: {rows} rows, {self._left_out[number]} left out")
        return TableReport(name, rows, self._left_out[number], [sealed(paths[kind]) for kind in FORMATS])

    def _meta(self, number: int, created: str) -> dict[str, Any]:
        order = self._order
        return {
            "catalogue": order.name,
            "campaign": order.campaign,
            "pipeline": order.pipeline,
            "revision": order.revision,
            "attempt": order.attempt,
            "created": created,
            "stars": self._seen,
            "leftOut": self._left_out[number],
            "modules": self._modules(number),
            "versions": _versions(),
        }

    def _modules(self, number: int) -> dict[str, dict[str, int]]:
        """By step, the number of stars for each version and image of the module."""
        found: dict[str, dict[str, int]] = {}
        for (table, (step, module, version, digest)), count in self._makers.most_common():
            if table != number:
                continue
            made = found.setdefault(step, {})
            name = f"{module} {version} ({digest})" if len(made) < _MAKERS_TOLD else "others"
            made[name] = made.get(name, 0) + count
        return found

    def _document(self, report: CatalogueReport, created: str) -> Mapping[str, Any]:
        order = json.loads(self._order.to_json())
        tables = []
        for number, (table, made) in enumerate(zip(order["tables"], report.tables, strict=True)):
            files = {kind: {"path": f"{made.name}.{kind}", "sha256": made.sha256[i]} for i, kind in enumerate(FORMATS)}
            tables.append({
                **table, "rows": made.rows, "leftOut": made.left_out, "modules": self._modules(number), "files": files,
            })  # fmt: skip
        return {
            "schema": SCHEMA,
            **{key: order[key] for key in ("name", "campaign", "pipeline", "revision", "attempt")},
            "created": created,
            "stars": {"seen": self._seen, "withoutProducts": self._without, "withProblems": self._wrong},
            "problems": self._problems,
            "tables": tables,
            "versions": _versions(),
        }


class _Progress:
    """Reports progress, rate and remaining time every few seconds."""

    def __init__(self, what: str, total: int, say: Callable[[str], None], things: str = "stars") -> None:
        self._what, self._total, self._say, self._things = what, total, say, things
        self._began = self._said = time.monotonic()

    def reached(self, done: int, more: str = "") -> None:
        now = time.monotonic()
        if now - self._said < _SAID_EVERY and done < self._total:
            return
        self._said = now
        rate = done / max(now - self._began, 1e-3)
        left = f", about {(self._total - done) / rate:.0f} s left" if 0 < done < self._total else ""
        self._say(f"{self._what} {done}/{self._total} {self._things}, {rate:.0f}/s{left}{more}")


def _versions() -> dict[str, str]:
    return {
        "plato-sas": __version__,
        "python": ".".join(map(str, sys.version_info[:3])),
        "astropy": astropy.__version__,
        "numpy": np.__version__,
        "h5py": h5py.__version__,
    }
