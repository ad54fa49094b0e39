"""The operator is killed at each of its writes, or there are two of it."""

from collections import Counter
from collections.abc import Callable, Mapping

from e2e.chaos.drill import FINAL, Drill
from e2e.chaos.fault import Fault
from e2e.chaos.operator_process import OperatorProcess
from e2e.chaos.proxy import Strike
from e2e.chaos.requests import Request
from e2e.chaos.workload import FUSED, PER_STEP, Star, doomed, fleet, sick, single, whole, wobbly

_SHARED = ("controllerrevisions", "leases")
_TAKE_OVER_SECONDS = 60
_MORE_WRITES = 2  # a star that was struck writes a little more than one that was not
_JOB_TTL_SECONDS = "3"  # so that the deletion of finished Jobs is among the writes
_LIVES: Mapping[str, Callable[[str], Star]] = {
    "fused": lambda name: whole(name, FUSED),
    "perstep": lambda name: whole(name, PER_STEP),
    "salvaged": lambda name: sick(name, FUSED),
    "retried": lambda name: wobbly(name, FUSED),
    "timed-out": lambda name: single(name, "Failed", "DeadlineExceeded", hang="true"),
    "cancelled": doomed,
}
_BOTH_SIDES = frozenset({"fused", "perstep"})


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
    process, proxy = drill.operator(PLATO_SAS_JOB_TTL_SECONDS=_JOB_TTL_SECONDS)
    lives = {"fused": _LIVES["fused"]} if drill.short else _LIVES
    counter = WriteCounter({f"measured-{life}": life for life in lives})
    drill.on_loop(lambda: proxy.inject(counter))
    _live(drill, [make(f"measured-{life}") for life, make in lives.items()])
    drill.on_loop(proxy.clear)
    stars: list[Star] = []
    points: dict[str, tuple[int, bool]] = {}
    for life, make in lives.items():
        for write in range(1, counter.writes[life] + _MORE_WRITES + 1):
            # Where not both: before the one write, after the next.
            both = not drill.short and life in _BOTH_SIDES
            for forwarded in (False, True) if both else (bool(write % 2),):
                star = make(f"killed-{life}-{write}-{int(forwarded)}")
                stars.append(star)
                points[star.name] = (write, forwarded)
    strikes = KillAtWrite(points, process.kill)
    drill.on_loop(lambda: proxy.inject(strikes))
    try:
        _live(drill, stars)
    finally:
        drill.on_loop(proxy.clear)
        drill.count(times=len(strikes.done))
        drill.points += sorted(strikes.done)
        drill.points.append(f"not reached: {strikes.left} (the stars wrote less often)")


def _live(drill: Drill, stars: list[Star]) -> None:
    """From their creation until nothing of them but their products and logs is left."""
    drill.create(stars)
    left = {star.name: star for star in stars if star.truth.state == "Cancelled"}

    def cancelled() -> bool:
        seen = drill.seen()
        for name in [name for name in left if "Running" in {one.state for one in seen[name].steps.values()}]:
            drill.cancel(left.pop(name))
        return not left

    drill.until(cancelled, "every star that is to be cancelled runs")
    drill.finish()
    drill.until(lambda: not drill.arena.api.items("jobs"), "every finished Job gone")


def _two(drill: Drill) -> None:
    first, _ = drill.operator("first")
    second, _ = drill.operator("second")
    stars = fleet("two", 2 if drill.short else 12, sleep="2")
    drill.create(stars)
    drill.count()
    if drill.short:
        drill.wait_for_steps(1)
        first.kill()
        drill.count()
    else:
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
        {
            "operator-killed": "SIGKILL at the n-th write for a star, for each n, before it is sent or after its "
            "answer: of stars that succeed, fail, are tried again, time out, are cancelled; Job deletion included"
        },
        _killed,
        limit_seconds=2400,
    ),
    Fault(
        "two-operators",
        {"two-operators": "two operators in one namespace, always; the leader stands still, or is killed"},
        _two,
        limit_seconds=240,
    ),
)
