"""Modules that misbehave. Each row is a star of its own, beside stars that must not notice."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from e2e.chaos.drill import Drill
from e2e.chaos.fault import Fault
from e2e.chaos.workload import PATIENT, Star, fleet, single

_GIGABYTE_MIB = 1024
_LOG_BYTES = int(1.2 * 2**20)  # a container's share is 1 MiB


def _stars(short: bool) -> list[Star]:
    stars = {
        "module-hangs": single("hangs", "Failed", "DeadlineExceeded", hang="true"),
        "module-ignores-sigterm": single("deaf", "Failed", "DeadlineExceeded", hang="true", ignore_sigterm="true"),
        "module-forks": _patient("forks", children=32, fork_burst=2_000 if short else 20_000),
        "module-writes-outside": _patient("outside", write_outside="true"),
        "module-writes-100000-files": _patient("files", write_files=20_000 if short else 100_000),
        "module-prints-1-gb": _patient("prints", print_mib=128 if short else _GIGABYTE_MIB),
        "module-fills-scratch": replace(
            single("hoards", "Failed", "ScratchFull", scratch_mib=40, sleep_s=200), pipeline=PATIENT
        ),
    }
    return [replace(star, fault=row) for row, star in stars.items()]


def _patient(name: str, **parameters: str | int) -> Star:
    """One that ends well, in its own time."""
    return replace(single(name, "Succeeded", None, **parameters), pipeline=PATIENT)


def _misbehaves(drill: Drill) -> None:
    drill.operator()
    stars = _stars(drill.short)
    drill.create(stars)
    drill.create([replace(star, fault="neighbours") for star in fleet("neighbour", 2)])
    for star in stars:
        drill.count(star.fault)
        drill.count("neighbours")
    drill.finish()
    prints = next(star for star in stars if star.fault == "module-prints-1-gb")
    drill.until(lambda: _bounded(drill.kept_logs(prints)), f"one log of {_LOG_BYTES} bytes at most", 60)


def _bounded(logs: Sequence[Path]) -> bool:
    return len(logs) == 1 and 0 < logs[0].stat().st_size <= _LOG_BYTES


FAULTS = (
    Fault(
        "modules",
        {
            "module-hangs": "sleeps for ever",
            "module-ignores-sigterm": "sleeps for ever, and SIGTERM does nothing",
            "module-forks": "leaves 32 processes behind and forks 20,000 more",
            "module-fills-scratch": "40 MiB in a scratch of 16 MiB",
            "module-writes-outside": "tries to write everywhere but where it may",
            "module-writes-100000-files": "100,000 undeclared files beside its output",
            "module-prints-1-gb": "1 GiB of lines",
            "neighbours": "sound stars beside all of these",
        },
        _misbehaves,
        limit_seconds=360,
    ),
)
