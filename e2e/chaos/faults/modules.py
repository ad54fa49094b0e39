"""Modules that misbehave. Each row is a star of its own, beside stars that must not notice."""

from dataclasses import replace

from e2e.chaos.drill import Drill
from e2e.chaos.fault import Fault
from e2e.chaos.workload import PATIENT, Star, fleet, single

_GIGABYTE_MIB = 1024


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
            "module-prints-1-gb": "1 GiB to its standard output",
            "neighbours": "sound stars beside all of these",
        },
        _misbehaves,
        limit_seconds=360,
        short=False,
    ),
)
