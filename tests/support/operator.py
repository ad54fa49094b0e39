"""An operator without its queue: stars are reconciled when a test says so, and killed between any two requests."""

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

from plato_sas.api import StarState
from plato_sas.controller.keeping.archive import Archive
from plato_sas.controller.keeping.retention import Retention
from plato_sas.controller.kube.resources import JOB, PROCESSING, WATCHED, Kind
from plato_sas.controller.revisions import Revisions
from plato_sas.controller.stars.actuator import Actuator
from plato_sas.controller.stars.reconcile import Reconciler
from plato_sas.controller.stars.window import AdmissionWindow
from plato_sas.controller.view.view import View
from plato_sas.jobs.attempt import job_finished
from plato_sas.jobs.pods import pod_finished
from plato_sas.jobs.stage import Site
from tests.support.cluster import FakeCluster, Killed
from tests.support.samples import dag

SITE = Site(stager_image="stager:1")
DIAMOND: Mapping[str, list[str]] = {"a": [], "b": ["a"], "c": ["a"], "d": ["b", "c"]}
JOB_TTL = 60
STAR_TTL = 10_000


class FakeLogKeeper:
    """Keeps what it is asked for when `work` is called. `files` stands for the volume, which outlives operators."""

    def __init__(self, mark: Callable[[str], None], files: dict[str, list[str]]) -> None:
        self._mark = mark
        self._files = files
        self._wanted: dict[str, tuple[str, list[dict[str, Any]]]] = {}
        self._kept: set[str] = set()

    def kept(self, job: dict[str, Any]) -> bool:
        return job["metadata"]["name"] in self._kept

    def request(
        self, processing_name: str, folder: PurePosixPath, job: dict[str, Any], pods: list[dict[str, Any]]
    ) -> None:
        assert job_finished(job) or any(map(pod_finished, pods)), "the log of a Job that still runs"
        if not self.kept(job):
            self._wanted.setdefault(job["metadata"]["name"], (processing_name, pods))

    def forget(self, job_name: str) -> None:
        self._kept.discard(job_name)
        self._wanted.pop(job_name, None)

    def work(self) -> bool:
        """Whether there was anything to keep."""
        wanted, self._wanted = self._wanted, {}
        for job, (processing, pods) in wanted.items():
            self._files.setdefault(job, [pod["metadata"]["name"] for pod in pods])
            self._kept.add(job)
            self._mark(processing)
        return bool(wanted)


class OneOperator:
    """A freshly started operator; the one before it is dead."""

    def __init__(
        self,
        cluster: FakeCluster,
        *,
        slots: int = 100,
        files: dict[str, list[str]] | None = None,
        archive: Path | None = None,
        star_ttl: int = STAR_TTL,
    ) -> None:
        self.cluster = cluster
        cluster.dead = False
        self.view, self.marked = View(), list[str]()
        self.files = files if files is not None else {}
        self.logs = FakeLogKeeper(self.marked.append, self.files)
        client: Any = cluster
        logs: Any = self.logs
        self.revisions = Revisions(client, self.view)
        self.window = AdmissionWindow(slots, self.marked.append)
        self.reconciler = Reconciler(
            client,
            self.view,
            self.revisions,
            self.window,
            Actuator(client, self.view, SITE),
            Retention(
                client,
                self.view,
                cluster.now,
                job_ttl=JOB_TTL,
                star_ttl=star_ttl,
                logs=logs,
                archive=Archive(archive) if archive is not None else None,
                products=archive,
            ),
            cluster.now,
            self.marked.append,
        )
        for kind in WATCHED:
            for (plural, _), item in cluster.objects.items():
                if plural == kind.plural:
                    self.view.put(kind, item)
        cluster.watchers = [self.hear]

    def hear(self, kind: Kind, event: str, item: dict[str, Any]) -> None:
        if kind is JOB and event == "DELETED" and job_finished(item):
            name = item["metadata"]["name"]
            assert name in self.files, f"{name} went before its log was kept"
        if kind in WATCHED:
            self.marked += self.view.drop(kind, item) if event == "DELETED" else self.view.put(kind, item)

    async def reconcile(self, star: str = "kic1") -> float | None:
        again = await self.reconciler.reconcile(star)
        others = asyncio.all_tasks() - {asyncio.current_task()}
        if others:
            await asyncio.gather(*others, return_exceptions=True)  # a star that leaves
        if self.cluster.dead:
            raise Killed
        await asyncio.sleep(0)  # the watches bring what was written
        return again


def gone(world: FakeCluster, star: str) -> bool:
    """The star was deleted."""
    return star not in world.all(PROCESSING) and not world.all(JOB)


def at_rest(world: FakeCluster, star: str) -> bool:
    """The star is at rest and its Jobs are deleted."""
    stored = world.all(PROCESSING).get(star)
    if stored is None:
        return True
    uid = stored["metadata"]["uid"]
    jobs = [one for one in world.all(JOB).values() if one["metadata"]["ownerReferences"][0]["uid"] == uid]
    state = stored.get("status", {}).get("state", "Pending")
    return not jobs and StarState(state).at_rest


async def drive(
    world: FakeCluster,
    operator: OneOperator,
    star: str = "kic1",
    until: Callable[[FakeCluster, str], bool] = at_rest,
    rounds: int = 200,
) -> None:
    """Reconcile, let Jobs end and time pass, until the star has come where it should."""
    for _ in range(rounds):
        before = len(world.requests)
        again = await operator.reconcile(star)
        if active := world.active_jobs():
            world.finish(active[0])
        elif not operator.logs.work() and len(world.requests) == before:
            if until(world, star):
                return
            assert again is not None, f"nobody looks at {star} again: {world.all(PROCESSING).get(star)}"
            world.advance(again)
    raise AssertionError(f"not at rest after {rounds} rounds: {world.all(PROCESSING).get(star)}")


def one_star(edges: Mapping[str, list[str]] = DIAMOND, **options: Any) -> FakeCluster:
    """The star kic1 and its pipeline."""
    made = FakeCluster()
    made.catalogue(*dag(edges, **options))
    made.star("kic1")
    return made


def run(world: FakeCluster, star: str = "kic1") -> None:
    """As `drive`, by an operator of its own."""
    asyncio.run(drive(world, OneOperator(world), star))


def states(world: FakeCluster, star: str = "kic1") -> dict[str, str]:
    """Each step's, as the star's status tells it."""
    return {step["name"]: step["state"] for step in world.status(star).get("steps", [])}
