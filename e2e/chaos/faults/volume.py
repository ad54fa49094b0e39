"""The products volume is full, or cannot be written any more, and is mended after a while."""

from collections.abc import Callable

from e2e.chaos.drill import Drill
from e2e.chaos.fault import Fault
from e2e.chaos.workload import fleet


def _fill(drill: Drill) -> None:
    drill.arena.fill_volume()


def _forbid(drill: Drill) -> None:
    """Read-only, as soon as no file on it is open for writing."""

    def look() -> bool:
        drill.arena.forbid_writing()  # what mount says against it is told if it never works
        return True

    drill.until(look, "the volume read-only", 20)


def _trouble(name: str, harm: Callable[[Drill], None]) -> Callable[[Drill], None]:
    def inject(drill: Drill) -> None:
        assert drill.local  # the volume is a mount of this machine
        drill.operator()
        drill.undo(drill.arena.restore_volume)
        stars = fleet(name, 2 if drill.short else 8, sleep="1")
        drill.create(stars)
        for number in (1,) if drill.short else (1, 2 * len(stars)):
            drill.wait_for_steps(number)
            before = _held_up(drill)
            harm(drill)
            drill.count()
            try:
                drill.until(lambda before=before: _held_up(drill) > before, "a step held up by the volume", 60)  # type: ignore[misc]
            finally:
                drill.arena.restore_volume()

    return inject


def _held_up(drill: Drill) -> int:
    """How often an attempt has failed for want of a working volume."""
    statuses = [item.get("status", {}) for item in drill.arena.api.items("starprocessings")]
    return sum(
        sum((step.get("retries") or {}).values()) + (step["state"] == "Failed")
        for status in statuses
        for step in status.get("steps", [])
    )


FAULTS = (
    Fault(
        "volume-full",
        {"volume-full": "the products volume has no block left until a step has failed for it"},
        _trouble("full", _fill),
        limit_seconds=300,
        components=True,
    ),
    Fault(
        "volume-read-only",
        {"volume-read-only": "the products volume is mounted read-only until a step has failed for it"},
        _trouble("read-only", _forbid),
        limit_seconds=300,
        components=True,
        short=False,
    ),
)
