"""Runs faults one after the other and judges each."""

import time
import traceback
from collections.abc import Iterator, Mapping, Sequence

from e2e.chaos.api import ApiAway
from e2e.chaos.arena import STATE, Arena, describe_stars
from e2e.chaos.drill import Drill, OutOfTime
from e2e.chaos.fault import Fault
from e2e.chaos.judge import Observation, Violation, judge
from e2e.chaos.operator_process import OperatorNotReady
from e2e.chaos.report import Row, write_json
from e2e.chaos.workload import Star
from e2e.cluster import ClusterError
from e2e.processes.command import CommandFailed
from e2e.progress import phase

_OBSERVE_SECONDS = 60
_SHORT_SECONDS = 420


def run(arena: Arena, faults: Sequence[Fault], *, short: bool) -> Iterator[Row]:
    """The rows, as they are known; each is also written to `.local/chaos`."""
    for fault in faults:
        if fault.components and arena.local is None:
            print(f"{fault.name}: left out: it needs the local cluster", flush=True)
            continue
        for row in _run(arena, fault, short):
            write_json(row, STATE, short=short)
            yield row


def _run(arena: Arena, fault: Fault, short: bool) -> list[Row]:
    started = time.monotonic()
    error = ""
    observed = Observation()
    limit = min(fault.limit_seconds, _SHORT_SECONDS) if short else fault.limit_seconds
    drill = Drill(arena, fault.name, limit, short)
    try:
        with phase(fault.name), drill:
            try:
                fault.inject(drill)
                drill.finish()
            except (OutOfTime, OperatorNotReady, ClusterError, CommandFailed, ApiAway) as failed:
                error = f"{failed}"
            # Judged in any case: what there is may break a rule.
            observed = drill.until(drill.observe, "an answer of the API server", _OBSERVE_SECONDS)
            if error:
                error += f"\n{describe_stars()}\n" + "\n".join(one.tail() for one in drill.operators)
    except Exception:  # reported; the suite goes on with the next fault
        error = f"{error}\n{traceback.format_exc()}".strip()
    return list(_rows(fault, drill, observed, error, time.monotonic() - started))


def _rows(fault: Fault, drill: Drill, observed: Observation, error: str, seconds: float) -> Iterator[Row]:
    shares = share(judge(tuple(star.truth for star in drill.stars), observed), drill.stars, fault)
    for name, what in fault.rows.items():
        yield Row(
            fault=name,
            what=what,
            injected=drill.injected[name],
            stars=sum(row_of(star, fault) == name for star in drill.stars),
            seconds=seconds,
            violations=shares[name],
            error=error,
            points=tuple(drill.points),
        )


def row_of(star: Star, fault: Fault) -> str:
    """The row that a star belongs to. Raises KeyError if there is none: its violations would go unseen."""
    row = star.fault or fault.name
    if row not in fault.rows:
        raise KeyError(f"star {star.name}: fault {fault.name} has no row {row!r}")
    return row


def share(violations: Sequence[Violation], stars: Sequence[Star], fault: Fault) -> Mapping[str, tuple[Violation, ...]]:
    """Each row's violations; one that is of no star in particular is every row's."""
    shares: dict[str, list[Violation]] = {row: [] for row in fault.rows}
    for violation in violations:
        where = violation.where.removeprefix("Job ").removeprefix("pod ")
        mine = [star for star in stars if f"{where}/".startswith((f"{star.name}/", f"{star.name}-"))]
        for row in {row_of(star, fault) for star in mine} or set(fault.rows):
            shares[row].append(violation)
    return {row: tuple(found) for row, found in shares.items()}
