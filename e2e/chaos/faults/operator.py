"""The operator is killed at each of its writes, or there are two of it."""

from collections import Counter
from collections.abc import Callable, Mapping

from e2e.chaos.drill import FINAL, Drill
from e2e.chaos.fault import Fault
from e2e.chaos.operator_process import OperatorProcess
from e2e.chaos.proxy import Strike
from e2e.chaos.requests import Request
from e2e.chaos.workload import FUSED, PER_STEP, Star, fleet, whole

_SHARED = ("controllerrevisions", "leases")
_TAKE_OVER_SECONDS = 60
_MORE_WRITES = 2  # a star that was struck writes a little more than one that was not


class WriteCounter:
    """An injector that does no harm: the writes of each star."""

    def __init__(self, stars: Mapping[str, str]) -> None:
        self._stars = stars
        self.writes: Counter[str] = Counter()

    def __call__(self, request: Request) -> None:
        star = request.star(self._stars) if request.write else None
        if star is not None:
            self.writes[star] += 1


class KillAtWrite:
    """Each star brings the operator down once: at its n-th write, `forwarded` or not.

    What is written for no star in particular does so twice, before and after: a pinned graph, the Lease.
    """

    def __init__(self, points: Mapping[str, tuple[int, bool]], kill: Callable[[], None]) -> None:
        self._points = points
        self._kill = kill
        self._labels = {star: star for star in points}
        self._written: Counter[str] = Counter()
        self._shared = {plural: [False, True] for plural in _SHARED}
        self._left = dict(points)
        self.done: list[str] = []

    def __call__(self, request: Request) -> Strike | None:
        if not request.write:
            return None
        if (left := self._shared.get(request.plural)) is not None:
            return self._strike("of no star", left.pop(0), request) if left else None
        star = request.star(self._labels)
        if star is None:
            return None
        self._written[star] += 1
        number, forwarded = self._points[star]
        if self._written[star] != number:
            return None
        del self._left[star]
        return self._strike(f"write {number}", forwarded, request)

    @property
    def left(self) -> int:
        return len(self._left)

    def _strike(self, what: str, forwarded: bool, request: Request) -> Strike:
        self.done.append(f"{what}, {request.title}, {'answered' if forwarded else 'not sent'}")
        return Strike(self._kill, forwarded)


def _killed(drill: Drill) -> None:
    process, proxy = drill.operator()
    writes = _writes_of_one_star(drill, proxy.inject, proxy.clear)
    stars: list[Star] = []
    points: dict[str, tuple[int, bool]] = {}
    for stages, number in writes.items():
        for write in range(1, number + _MORE_WRITES + 1):
            # In the short form every other point: before the one, after the next.
            for forwarded in (bool(write % 2),) if drill.short else (False, True):
                star = whole(f"killed-{stages.lower()}-{write}-{int(forwarded)}", stages)
                stars.append(star)
                points[star.name] = (write, forwarded)
    strikes = KillAtWrite(points, process.kill)
    drill.on_loop(lambda: proxy.inject(strikes))
    drill.create(stars)
    try:
        drill.finish()
    finally:
        drill.on_loop(proxy.clear)
        drill.count(times=len(strikes.done))
        drill.points += sorted(strikes.done)
        drill.points.append(f"not reached: {strikes.left} (the stars wrote less often)")


def _writes_of_one_star(
    drill: Drill, inject: Callable[[WriteCounter], None], clear: Callable[[], None]
) -> dict[str, int]:
    """How often the operator writes for one star, in each mode, when nothing is done to it."""
    stars = [whole(f"measured-{stages.lower()}", stages) for stages in ((FUSED,) if drill.short else (FUSED, PER_STEP))]
    counter = WriteCounter({star.name: star.name for star in stars})
    drill.on_loop(lambda: inject(counter))
    drill.create(stars)
    drill.finish()
    drill.on_loop(clear)
    return {star.stages: counter.writes[star.name] for star in stars}


def _two(drill: Drill) -> None:
    first, _ = drill.operator("first")
    second, _ = drill.operator("second")
    stars = fleet("two", 2 if drill.short else 12, sleep="2")
    drill.create(stars)
    drill.count()
    if not drill.short:
        drill.wait_for_steps(1)
        _freeze_past_its_lease(drill, first)
        for number, process in enumerate((second, first, second), start=2):
            drill.wait_for_steps(number * len(stars))
            process.kill()
            drill.count()


def _freeze_past_its_lease(drill: Drill, leader: OperatorProcess) -> None:
    """The leader stands still until the other has taken over, and does not know that when it goes on."""
    leader.forgive()
    leader.freeze()
    drill.undo(leader.thaw)
    done = drill.steps_in(*FINAL)
    drill.until(lambda: drill.steps_in(*FINAL) > done, "the other operator at work", _TAKE_OVER_SECONDS)
    leader.thaw()
    drill.count()


FAULTS = (
    Fault(
        "operator-killed",
        {"operator-killed": "SIGKILL at the n-th write for a star, for each n, before it is sent and after its answer"},
        _killed,
        limit_seconds=1500,
    ),
    Fault(
        "two-operators",
        {"two-operators": "two operators in one namespace, always; the leader stands still, or is killed"},
        _two,
        limit_seconds=240,
    ),
)
