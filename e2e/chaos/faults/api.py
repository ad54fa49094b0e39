"""The way to the API server: streams that break, errors, delays."""

import itertools
import time
from collections import Counter
from collections.abc import Callable

from e2e.chaos.drill import Drill
from e2e.chaos.fault import Fault
from e2e.chaos.judge import FINISHED
from e2e.chaos.proxy import Answer, Cut, Delay, Fate, FaultProxy, Strike
from e2e.chaos.requests import Request
from e2e.chaos.workload import fleet

_CUT_PERIOD = 0.7
_HOLD_SECONDS = 6.0


class EveryNth:
    """Every n-th request of its kind meets the next fate of a fixed sequence.

    Counted by kind (verb and resource): counted together, one kind could be hit each time, and never get through.
    """

    def __init__(self, n: int, fates: list[tuple[str, Fate]], chosen: Callable[[Request], bool]) -> None:
        self._n = n
        self._fates = itertools.cycle(fates)
        self._chosen = chosen
        self._requests: Counter[str] = Counter()
        self.done: list[str] = []

    def __call__(self, request: Request) -> Fate | None:
        if not self._chosen(request):
            return None
        self._requests[request.title] += 1
        if self._requests[request.title] % self._n:
            return None
        name, fate = next(self._fates)
        self.done.append(f"{name}: {'WATCH' if request.watch else request.title}")
        return fate


def _during(drill: Drill, proxy: FaultProxy, act: Callable[[], int], period: float) -> None:
    """Act again and again until every star is final."""
    names = {star.name for star in drill.stars}
    due = time.monotonic()

    def look() -> bool:
        nonlocal due
        if time.monotonic() >= due:
            due = time.monotonic() + period
            drill.count(times=drill.on_loop(act))
        seen = drill.seen()
        return all(name in seen and seen[name].state in FINISHED for name in names)

    try:
        drill.until(look, "every star final")
    finally:
        drill.on_loop(proxy.clear)


def _cut(drill: Drill) -> None:
    _, proxy = drill.operator()
    ways = itertools.cycle(Cut)
    drill.create(fleet("cut", 2 if drill.short else 12))
    _during(drill, proxy, lambda: proxy.cut(next(ways)), _CUT_PERIOD)


def _silent(drill: Drill) -> None:
    _, proxy = drill.operator()
    drill.create(fleet("silent", 2 if drill.short else 8))
    for number in (1,) if drill.short else (1, 2, 3):
        drill.wait_for_steps(number)
        drill.count(times=drill.on_loop(proxy.hold))
        end = time.monotonic() + _HOLD_SECONDS
        drill.until(lambda end=end: time.monotonic() >= end, "the silence's end")  # type: ignore[misc]
        drill.on_loop(proxy.clear)


def _errors(drill: Drill) -> None:
    _, proxy = drill.operator()
    before: list[tuple[str, Fate]] = [
        ("429 with Retry-After", Answer(429, forwarded=False, headers={"Retry-After": "1"})),
        ("500, not carried out", Answer(500, forwarded=False)),
        ("503, not carried out", Answer(503, forwarded=False)),
        ("connection reset, not carried out", Strike(lambda: None, forwarded=False)),
    ]
    after: list[tuple[str, Fate]] = [
        ("500, carried out", Answer(500, forwarded=True)),
        ("504, carried out", Answer(504, forwarded=True)),
        ("connection reset, carried out", Strike(lambda: None, forwarded=True)),
        ("delay", Delay(1.5)),
    ]
    mixed = [fate for pair in zip(before, after, strict=True) for fate in pair]
    # Watches meet only what does not take effect: an error after a watch has begun is a cut stream.
    injectors = [EveryNth(3, mixed, lambda one: not one.watch), EveryNth(2, before, lambda one: one.watch)]
    for injector in injectors:
        drill.on_loop(lambda injector=injector: proxy.inject(injector))  # type: ignore[misc]
    drill.create(fleet("errors", 2 if drill.short else 12))
    try:
        drill.finish()
    finally:
        drill.on_loop(proxy.clear)
        done = [one for injector in injectors for one in injector.done]
        drill.count(times=len(done))
        drill.points += sorted(set(done))


def _errors_at_start(drill: Drill) -> None:
    process, proxy = drill.operator()
    drill.create(fleet("start", 2 if drill.short else 4))
    drill.wait_for_steps(1)
    refusals = EveryNth(2, [("503", Answer(503, forwarded=False))], lambda _: True)
    drill.on_loop(lambda: proxy.inject(refusals))
    process.kill()
    drill.until(lambda: len(refusals.done) >= 6, "six requests refused", 60)
    drill.on_loop(proxy.clear)
    drill.count(times=len(refusals.done))


FAULTS = (
    Fault(
        "watch-streams-cut",
        {"watch-streams-cut": "every open watch is reset, ended or answered with 410, every 0.7 s"},
        _cut,
        limit_seconds=240,
    ),
    Fault(
        "watch-streams-silent",
        {"watch-streams-silent": "the watches stay open and bring nothing for 6 s"},
        _silent,
        limit_seconds=180,
        short=False,
    ),
    Fault(
        "api-errors",
        {
            "api-errors": "every third request of each kind gets 429, 500, 503, 504, a reset connection or a delay, "
            "before it is carried out and after; every second watch is refused"
        },
        _errors,
        limit_seconds=300,
    ),
    Fault(
        "api-errors-at-start",
        {"api-errors-at-start": "every second request of an operator that has just started gets 503"},
        _errors_at_start,
        limit_seconds=180,
        short=False,
    ),
)
