"""A flow of stars, or of Jobs without stars: created in a bounded number, watched to their end, timed."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from e2e.bench.measure import pipelines
from e2e.bench.measure.api import JOBS, STARS, Api, ApiFailed, cancel
from e2e.bench.measure.site import BenchError
from plato_sas.api import Document

_FINISHED = frozenset({"Succeeded", "Failed", "Cancelled", "Rejected"})
_STALL_SECONDS = 180.0
_CREATORS = 16
_GONE = 410


@dataclass(frozen=True)
class Kind:
    """What flows. `make`: an object of this name; `state`: that of an object, as soon as it has one.

    `discarded`: the flow deletes each that has finished; otherwise somebody else does, or nobody.
    """

    plural: str
    path: str
    make: Callable[[str], Document]
    state: Callable[[Document], str]
    discarded: bool = False


def stars(namespace: str, pipeline: str, **spec: Any) -> Kind:
    """StarProcessings of one pipeline."""
    return Kind(
        "stars",
        STARS.format(namespace=namespace),
        lambda name: pipelines.star(name, pipeline, **spec),
        lambda star: str(star.get("status", {}).get("state", "")),
    )


def jobs(namespace: str, job: Document) -> Kind:
    """Copies of one Job."""
    return Kind(
        "Jobs",
        JOBS.format(namespace=namespace),
        lambda name: {**job, "metadata": {**job["metadata"], "name": name}},
        _job_state,
        discarded=True,
    )


def _job_state(job: Document) -> str:
    ended = {one["type"] for one in job.get("status", {}).get("conditions", []) if one["status"] == "True"}
    return "Succeeded" if "Complete" in ended else "Failed" if "Failed" in ended else ""


@dataclass
class Flow:
    """Objects of one benchmark. Times are of `time.monotonic`, by the object's name.

    `resident`: how many may exist at a time, finished ones included. `per_second`: how fast they are created at most;
    0: as fast as the API server takes them. `enough`: how many have to finish; 0: all.
    """

    api: Api
    kind: Kind
    count: int
    resident: int
    per_second: float = 0.0
    enough: int = 0
    on_change: Callable[["Flow"], None] = lambda _flow: None
    created: dict[str, float] = field(default_factory=dict[str, float])
    finished: dict[str, float] = field(default_factory=dict[str, float])
    states: dict[str, int] = field(default_factory=dict[str, int])
    gone: set[str] = field(default_factory=set[str])
    events: int = 0
    _moved: asyncio.Event = field(default_factory=asyncio.Event)
    _room: asyncio.Event = field(default_factory=asyncio.Event)
    _discards: asyncio.Queue[str] = field(default_factory=asyncio.Queue[str])
    _last: float = 0.0

    async def run(self) -> None:
        """Wait until enough have finished. Raises BenchError if one does not succeed, or if nothing happens."""
        listed, version = await self.api.list(self.kind.path)
        if listed:
            raise BenchError(f"{self.kind.path} has {len(listed)} objects already")
        self._last = time.monotonic()
        tasks = [asyncio.create_task(one) for one in (self._watch(version), self._create(), self._discard())]
        try:
            while len(self.finished) < (self.enough or self.count):
                for task in tasks:
                    if task.done():
                        task.result()  # only the creation may have ended, and well
                await self._wait()
        finally:
            await cancel(*tasks)
        if set(self.states) != {"Succeeded"}:
            raise BenchError(f"not all {self.kind.plural} succeeded: {self.states}")

    async def _wait(self) -> None:
        """Wait until something has changed."""
        self._moved.clear()
        patience = self._last + _STALL_SECONDS - time.monotonic()
        try:
            async with asyncio.timeout(patience):
                await self._moved.wait()
        except TimeoutError:
            raise BenchError(
                f"nothing happened for {_STALL_SECONDS:.0f} s: {len(self.created)} {self.kind.plural} created, "
                f"{len(self.finished)} finished, {len(self.gone)} gone"
            ) from None

    def _mark(self) -> None:
        self._last = time.monotonic()
        self._moved.set()
        self.on_change(self)

    async def _create(self) -> None:
        names = iter(range(self.count))
        began = time.monotonic()

        async def creator() -> None:
            for number in names:
                while len(self.created) - len(self.gone) >= self.resident:
                    self._room.clear()
                    await self._room.wait()
                if self.per_second:
                    await asyncio.sleep(max(0.0, began + number / self.per_second - time.monotonic()))
                name = f"star-{number:06d}"
                self.created[name] = time.monotonic()
                await self.api.request("POST", self.kind.path, self.kind.make(name))
                self._mark()

        async with asyncio.TaskGroup() as group:
            for _ in range(_CREATORS):
                group.create_task(creator())

    async def _discard(self) -> None:
        async def discarder() -> None:
            while True:
                name = await self._discards.get()
                await self.api.request("DELETE", f"{self.kind.path}/{name}", propagationPolicy="Background")

        async with asyncio.TaskGroup() as group:
            for _ in range(_CREATORS):
                group.create_task(discarder())

    async def _watch(self, version: str) -> None:
        while True:
            try:
                async for kind, item in self.api.watch(self.kind.path, version):
                    self._see(kind, item)
            except ApiFailed as error:
                if error.status != _GONE:
                    raise
            items, version = await self.api.list(self.kind.path)
            present = {item["metadata"]["name"] for item in items}
            for item in items:
                self._see("MODIFIED", item)
            for name in [one for one in self.created if one in self.finished and one not in present]:
                self._leave(name)

    def _see(self, kind: str, item: Document) -> None:
        self.events += 1
        self._last = time.monotonic()
        name = item["metadata"]["name"]
        state = self.kind.state(item)
        if state in _FINISHED and name not in self.finished:
            self.finished[name] = time.monotonic()
            self.states[state] = self.states.get(state, 0) + 1
            if self.kind.discarded:
                self._discards.put_nowait(name)
            self._mark()
        if kind == "DELETED":
            if name not in self.finished:
                raise BenchError(f"{name} was deleted before it had finished")
            self._leave(name)

    def _leave(self, name: str) -> None:
        self.gone.add(name)
        self._room.set()
        self._mark()
