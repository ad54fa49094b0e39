"""One run of a fault: its operators, its stars, and what is observed of them."""

import json
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Self, TypeVar

from e2e.chaos.api import ApiAway
from e2e.chaos.arena import NAMESPACE, STATE, Arena, clear_products, clear_stars, unmount_forgotten
from e2e.chaos.evidence import job_seen, pod_seen, reports, star_seen
from e2e.chaos.judge import DELETED, FINISHED, Observation, StarSeen
from e2e.chaos.loop import LoopThread
from e2e.chaos.operator_process import OperatorProcess, Surrounding
from e2e.chaos.proxy import FaultProxy
from e2e.chaos.recorder import Recorder
from e2e.chaos.tree import TreeWatch, folders
from e2e.chaos.workload import Star
from e2e.cluster import ClusterError, LocalCluster
from e2e.kubernetes import apply, kubectl
from e2e.processes.command import CommandFailed
from e2e.processes.record import arguments, pids, pod_of
from plato_sas.api import Document

T = TypeVar("T")

CAMPAIGN = "chaos"
FINAL = ("Succeeded", "Reused", "Skipped", "Failed", "Cancelled")
"""Of steps."""
_SETTINGS = {
    # Jobs stay, as evidence. What a watch loses is found soon. The node is not to be the bottleneck.
    "PLATO_SAS_JOB_TTL_SECONDS": "3600",
    "PLATO_SAS_RESYNC_SECONDS": "15",
    "PLATO_SAS_MAX_ACTIVE_STARS": "5",
    # Longer than any fault keeps the operator from writing a reason.
    "PLATO_SAS_STUCK_SECONDS": "60",
}
_POLL_SECONDS = 0.3
_SCRAPE_SECONDS = 3
_SETTLE_SECONDS = 45
_SANDBOX = "/pause"  # the program that holds a pod's namespaces
_AWAY = (ApiAway, CommandFailed)


class OutOfTime(Exception):
    """A condition did not come true before the drill's end."""


class Drill:
    """A context manager: what it started is stopped and its stars are removed, whatever happened."""

    def __init__(self, arena: Arena, name: str, limit_seconds: float, short: bool) -> None:
        self.arena = arena
        self.name = name
        self.short = short
        self.injected: Counter[str] = Counter()
        self.points: list[str] = []
        """Where it was injected, for the record."""
        self.stars: list[Star] = []
        self.operators: list[OperatorProcess] = []
        self.stuck = 0
        """The most stars that an operator has counted as stuck at one time."""
        self._scraped = 0.0
        self._deadline = time.monotonic() + limit_seconds
        self._stack = ExitStack()
        self._loop = LoopThread()
        self._recorder = Recorder(arena.upstream, NAMESPACE)
        self._tree = TreeWatch(arena.products / CAMPAIGN)

    def __enter__(self) -> Self:
        # In the order of making; undone in reverse order, each even if one before it fails.
        self._stack.callback(clear_products, self.arena.products)
        self._stack.callback(unmount_forgotten)
        self._stack.callback(clear_stars)
        clear_products(self.arena.products)
        try:
            self._stack.enter_context(self._loop)
            self._loop.run(self._recorder.start())
            self._stack.callback(lambda: self._loop.run(self._recorder.stop()))
            self._stack.enter_context(self._tree)
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def undo(self, function: Callable[[], object]) -> None:
        """Call it at the end in any case; the last one first."""
        self._stack.callback(function)

    # --- what faults use ---

    @property
    def local(self) -> LocalCluster:
        """Raises ClusterError on a cluster whose components are no processes of this machine."""
        if self.arena.local is None:
            raise ClusterError("needs the local cluster")
        return self.arena.local

    def operator(self, name: str = "operator", **settings: str) -> tuple[OperatorProcess, FaultProxy]:
        """An operator that is ready, and the proxy between it and the API server."""
        proxy = FaultProxy(self.arena.upstream)
        server = self._loop.run(proxy.start())
        self.undo(lambda: self._loop.run(proxy.stop()))
        around = Surrounding(
            namespace=NAMESPACE,
            server=server,
            token=self.arena.token,
            stager_image=self.arena.stager_image,
            products=self.arena.products,
            folder=STATE / "logs" / self.name,
            settings=_SETTINGS | settings,
        )
        process = OperatorProcess(name, around)
        self._stack.enter_context(process)
        self.operators.append(process)
        return process, proxy

    def on_loop(self, function: Callable[[], T]) -> T:
        """Call what touches a proxy in the thread that it belongs to."""
        return self._loop.call(function)

    def create(self, stars: Sequence[Star]) -> None:
        """Create the stars' resources; they are judged at the end."""
        apply([star.document(CAMPAIGN) for star in stars], namespace=NAMESPACE)
        self.stars += stars

    def rerun_failed(self, star: Star) -> None:
        """Ask for a star's failed steps once more. Raises CommandFailed."""
        self._patch(star, {"rerun": {"id": 1, "failed": True}})

    def cancel(self, star: Star) -> None:
        """Raises CommandFailed."""
        self._patch(star, {"desiredState": "Cancel"})

    def _patch(self, star: Star, spec: Document) -> None:
        body = json.dumps({"spec": spec})
        kubectl("patch", "starprocessing", star.name, "--type=merge", "-p", body, namespace=NAMESPACE)

    def replace_truth(self, star: Star, changed: Star) -> None:
        """Expect another end of a star, because of what was done to it."""
        self.stars[self.stars.index(star)] = changed

    def count(self, row: str | None = None, times: int = 1) -> None:
        self.injected[row or self.name] += times

    def until(self, look: Callable[[], T | None], what: str, seconds: float | None = None) -> T:
        """What `look` returns once it is true; the API server may be unreachable meanwhile. Raises OutOfTime."""
        deadline = min(self._deadline, time.monotonic() + seconds) if seconds else self._deadline
        said = ""
        while True:
            self._count_stuck()
            try:
                if found := look():
                    return found
            except _AWAY as error:
                said = f" ({error})"
            if time.monotonic() >= deadline:
                raise OutOfTime(f"{what}: not in time{said}")
            time.sleep(_POLL_SECONDS)

    def _count_stuck(self) -> None:
        if time.monotonic() - self._scraped >= _SCRAPE_SECONDS:
            self._scraped = time.monotonic()
            self.stuck = max([self.stuck, *(one.stuck_stars() or 0 for one in self.operators)])

    def seen(self) -> dict[str, StarSeen]:
        """The stars as they are now. Raises ApiAway."""
        return {one.star: one for one in map(star_seen, self.arena.api.items("starprocessings"))}

    def steps_in(self, *states: str) -> int:
        """How many steps of all stars are in one of the states. Raises ApiAway."""
        return sum(step.state in states for star in self.seen().values() for step in star.steps.values())

    def retried(self, failure_class: str) -> int:
        """How often a step of any star was tried again after a failure of this class. Raises ApiAway."""
        steps = [step for star in self.seen().values() for step in star.steps.values()]
        return sum(step.retries.get(failure_class, 0) for step in steps)

    def wait_for_steps(self, number: int) -> None:
        """Until so many steps are final."""
        self.until(lambda: self.steps_in(*FINAL) >= number, f"{number} steps final")

    def kept_logs(self, star: Star) -> list[Path]:
        """The log files of a star's Jobs on the products volume."""
        return sorted((self.arena.products / CAMPAIGN / star.name / ".logs").glob("*.log"))

    def jobs(self, star: str, *, active: bool) -> list[str]:
        """Names of a star's Jobs. Raises ApiAway."""
        found = map(job_seen, self.arena.api.items("jobs"))
        return [job.name for job in found if job.star == star and job.active is active]

    # --- the end ---

    def finish(self) -> None:
        """Wait until every star is final and quiet. Raises OutOfTime."""
        expected = {star.name for star in self.stars if star.truth.state != DELETED}
        self.until(lambda: self._all_final(expected), "every star final")
        self.until(self._quiet, "no active Job", _SETTLE_SECONDS)
        with suppress(OutOfTime):  # the judge says what is left
            self.until(lambda: not self._survivors(), "every pod's processes gone", _SETTLE_SECONDS)

    def _all_final(self, expected: set[str]) -> bool:
        seen = self.seen()
        return all(name in seen and seen[name].state in FINISHED for name in expected)

    def _quiet(self) -> bool:
        active = any(job_seen(job).active for job in self.arena.api.items("jobs"))
        return not active and not any(pod_seen(pod).running for pod in self.arena.api.items("pods"))

    def _survivors(self) -> Counter[str]:
        """How many processes there are of pods that do not run any more, by the pod."""
        known = self.on_loop(lambda: self._recorder.seen("pods"))
        running = {item["metadata"]["uid"] for item in self.arena.api.items("pods") if pod_seen(item).running}
        names = {item["metadata"]["uid"]: item["metadata"]["name"] for item in known}
        ended = {uid: name for uid, name in names.items() if uid not in running}
        found: Counter[str] = Counter()
        for pid in pids():
            uid = pod_of(pid)
            if uid in ended and arguments(pid)[:1] != [_SANDBOX]:
                found[ended[uid]] += 1
        return found

    def observe(self) -> Observation:
        """All that the judge needs. Raises ApiAway."""
        self._tree.stop()
        stars = tuple(map(star_seen, self.arena.api.items("starprocessings")))
        jobs = {job.uid: job for job in map(job_seen, self.arena.api.items("jobs"))}
        for item in self.on_loop(lambda: self._recorder.seen("jobs")):
            jobs.setdefault(item["metadata"]["uid"], job_seen(item, gone=True))
        pods = self.on_loop(lambda: self._recorder.seen("pods"))
        return Observation(
            stars=stars,
            jobs=tuple(jobs.values()),
            pods=tuple(map(pod_seen, self.arena.api.items("pods"))),
            publications=(*self._tree.publications, *(report for pod in pods for report in reports(pod))),
            folders=folders(self.arena.products / CAMPAIGN),
            glimpses=self._tree.glimpses,
            survivors=self._survivors(),
            stuck=self.stuck,
            operator_exits=tuple(code for operator in self.operators for code in operator.ended_by_itself),
        )
