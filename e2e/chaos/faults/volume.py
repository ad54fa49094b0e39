"""The products volume is full, or cannot be written any more, and is mended after a while."""

from collections.abc import Callable

from e2e.chaos.drill import Drill
from e2e.chaos.fault import Fault
from e2e.chaos.judge import StarSeen
from e2e.chaos.workload import FUSED, PER_STEP, fleet, whole
from plato_sas.plan.retries import INFRASTRUCTURE_RETRIES

_INFRASTRUCTURE = "Infrastructure"


def _fill(drill: Drill) -> None:
    drill.arena.fill_volume()


def _forbid(drill: Drill) -> None:
    """Read-only, as soon as no file on it is open for writing."""

    def look() -> bool:
        drill.arena.forbid_writing()  # mount's error is reported if it never works
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
            before = drill.retried(_INFRASTRUCTURE)
            harm(drill)
            drill.count()
            try:
                drill.until(
                    lambda before=before: drill.retried(_INFRASTRUCTURE) > before,  # type: ignore[misc]
                    "a step held up by the volume", 60,
                )  # fmt: skip
            finally:
                drill.arena.restore_volume()

    return inject


def _for_long(drill: Drill) -> None:
    """Longer than all retries: the stars fail for it, and go on from there when somebody asks for it."""
    assert drill.local
    drill.operator()
    drill.undo(drill.arena.restore_volume)
    stars = [whole("long-fused", FUSED, sleep="1"), whole("long-perstep", PER_STEP, sleep="1")]
    drill.create(stars)
    drill.wait_for_steps(1)
    drill.arena.fill_volume()
    drill.count(times=len(stars))
    try:
        drill.until(lambda: all(map(_gave_up, drill.seen().values())), "every star failed for want of room")
    finally:
        drill.arena.restore_volume()
    for star in stars:
        drill.rerun_failed(star)
    drill.until(lambda: not any(star.state == "Failed" for star in drill.seen().values()), "taken up again")


def _gave_up(star: StarSeen) -> bool:
    """Whether it has failed at a step whose whole budget of such retries is spent."""
    spent = [step for step in star.steps.values() if step.retries.get(_INFRASTRUCTURE) == INFRASTRUCTURE_RETRIES]
    return star.state == "Failed" and any(step.state == "Failed" for step in spent)


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
    Fault(
        "volume-full-for-long",
        {"volume-full-for-long": "the products volume stays full until every star has failed for it; then a rerun"},
        _for_long,
        limit_seconds=420,
        components=True,
        short=False,
    ),
)
