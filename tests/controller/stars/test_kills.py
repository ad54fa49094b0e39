"""An operator killed at every request that it makes: another one takes over, and the star ends as it would have."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from plato_sas.api import StarState
from plato_sas.controller.keeping import archive
from plato_sas.controller.kube.client import ApiError
from plato_sas.controller.kube.resources import EVENT, JOB, POD, PROCESSING
from tests.support.cluster import FakeCluster, Killed
from tests.support.operator import OneOperator, at_rest, drive, gone
from tests.support.samples import dag

LONGEST = 200  # requests; no scenario makes as many


@dataclass(frozen=True)
class Scenario:
    """A star's life. `acts`: what its user does whenever it has come to rest."""

    edges: Mapping[str, list[str]]
    graph: Mapping[str, Any] = field(default_factory=dict)
    spec: Mapping[str, Any] = field(default_factory=dict)
    facts: Mapping[str, dict[str, Any]] = field(default_factory=dict)
    exit_codes: Mapping[str, list[int]] = field(default_factory=dict)
    reusable: frozenset[str] = frozenset()
    acts: tuple[Mapping[str, Any], ...] = ()
    leaves: bool = False  # its time to live is over in the end
    moments: int = 5  # to be killed at, at least

    def world(self) -> FakeCluster:
        made = FakeCluster()
        made.catalogue(*dag(self.edges, **self.graph))
        made.star("kic1", **self.spec)
        made.kubelet.facts = dict(self.facts)
        made.kubelet.exit_codes = {step: list(codes) for step, codes in self.exit_codes.items()}
        made.kubelet.reusable = set(self.reusable)
        return made


CHAIN: Mapping[str, list[str]] = {"a": [], "b": ["a"], "c": ["b"]}
BRANCH: Mapping[str, Any] = {
    "facts": {"b": {"flag": "boolean"}},
    "when": {"c": "facts['b'].flag", "d": "!facts['b'].flag"},
}
SCENARIOS = {
    "a graph with a branch": Scenario(
        {"a": [], "b": ["a"], "c": ["b"], "d": ["b"], "e": ["c"]}, BRANCH, facts={"b": {"flag": True}}, moments=8
    ),
    "a step fails in the middle": Scenario(CHAIN, exit_codes={"b": [2]}, moments=9),
    "a step fails in the middle and is tried again": Scenario(CHAIN, exit_codes={"b": [75, 0]}, moments=9),
    "a job for every step": Scenario(CHAIN, spec={"stages": "PerStep"}, moments=11),
    "products are there already": Scenario(CHAIN, reusable=frozenset({"a", "b"}), moments=8),
    "a rerun from a step": Scenario(CHAIN, acts=({"rerun": {"id": 1, "from": ["b"]}},), moments=9),
    "a rerun of what failed": Scenario(
        CHAIN, exit_codes={"b": [2, 0]}, acts=({"rerun": {"id": 1, "failed": True}},), moments=14
    ),
    "a star that leaves": Scenario(CHAIN, spec={"ttl": "30s"}, leaves=True, moments=6),
    "a failed star that is run again and leaves": Scenario(
        CHAIN,
        exit_codes={"c": [2, 0]},
        spec={"ttl": "1h"},
        acts=({"rerun": {"id": 1, "failed": True}},),
        leaves=True,
        moments=14,
    ),
}


class Life:
    """A star brought to its end by as many operators as it takes."""

    def __init__(self, scenario: Scenario, volume: Path) -> None:
        self.scenario = scenario
        self.world = scenario.world()
        self.volume = volume
        self.files: dict[str, list[str]] = {}  # logs
        self.deaths = 0

    def live(self) -> None:
        for act in self.scenario.acts:
            self._until(at_rest)
            self.world.star("kic1", **act)
        self._until(gone if self.scenario.leaves else at_rest)

    def _until(self, end: Callable[[FakeCluster, str], bool]) -> None:
        while not self._operate(end):
            self.deaths += 1

    def _operate(self, end: Callable[[FakeCluster, str], bool]) -> bool:
        """One operator's time; False if it died."""

        async def operate() -> None:
            await drive(self.world, OneOperator(self.world, files=self.files, archive=self.volume), until=end)

        try:
            asyncio.run(operate())
        except Killed:
            return False
        return True

    def result(self) -> dict[str, Any]:
        """What must be the same however often the operator died."""
        if self.scenario.leaves:
            (record,) = archive.read(self.volume / ".archive" / "q1.jsonl")
            status = record["status"]
        else:
            status = self.world.status("kic1")
        return {
            "state": status["state"],
            "progress": status["progress"],
            "steps": {one["name"]: (one["state"], one["attempt"], one.get("retries")) for one in status["steps"]},
            "facts": status.get("facts"),
            "jobs": sorted(set(self.world.jobs_created)),
            "runs": self.world.kubelet.runs,
            "published": dict(self.world.published()),
            "logs": self.files,
        }

    def check(self) -> None:
        world = self.world
        assert set(world.published().values()) <= {1}, "a step was published twice"
        assert len(world.jobs_created) == len(set(world.jobs_created)), "a Job was created twice"
        assert not world.all(JOB), "an orphan is left"
        assert not world.all(POD)
        assert self.files.keys() == set(world.jobs_created), "each Job's log is kept"
        assert all(self.files.values()), "each log is that of a pod"


def lived(scenario: Scenario, volume: Path, kill_after: int | None = None) -> Life:
    volume.mkdir()
    life = Life(scenario, volume)
    life.world.kill_after = kill_after
    life.live()
    life.check()
    return life


@pytest.mark.parametrize("name", SCENARIOS)
def test_an_operator_killed_at_any_request_loses_nothing_and_does_nothing_twice(name: str, tmp_path: Path) -> None:
    scenario = SCENARIOS[name]
    calm = lived(scenario, tmp_path / "calm")
    assert StarState(calm.result()["state"]).at_rest
    killed = 0
    for request in range(1, LONGEST):
        life = lived(scenario, tmp_path / str(request), request)
        assert life.result() == calm.result(), f"killed at request {request}: {life.world.requests}"
        if not life.deaths:
            break
        assert life.deaths == 1
        killed += 1
    assert scenario.moments <= killed < LONGEST - 1


@pytest.mark.parametrize("name", SCENARIOS)
def test_an_operator_killed_again_and_again_still_comes_to_the_end(name: str, tmp_path: Path) -> None:
    scenario = SCENARIOS[name]
    calm = lived(scenario, tmp_path / "calm")
    (tmp_path / "killed").mkdir()
    life = Life(scenario, tmp_path / "killed")

    class Mortal(OneOperator):
        """It has time for two requests that count: the revision that it reads, and one more."""

        def __init__(self, *arguments: Any, **options: Any) -> None:
            super().__init__(*arguments, **options)
            life.world.kill_after = 3

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(f"{__name__}.OneOperator", Mortal)
        life.live()
    life.check()
    assert life.deaths > 0
    assert life.result() == calm.result()


@pytest.mark.parametrize("verb", ["create", "patch", "delete"])
def test_an_error_of_the_api_server_is_raised_and_the_next_try_goes_on(verb: str) -> None:
    world = Scenario(CHAIN).world()
    refusing = False

    def refuse(v: str, kind: Any, name: str) -> ApiError | None:
        return ApiError(503, "not now") if refusing and v == verb and kind is not EVENT else None

    async def scenario() -> None:
        nonlocal refusing
        operator = OneOperator(world)
        world.refuse = refuse
        errors = 0
        for _ in range(100):
            refusing = not refusing
            try:
                again = await operator.reconcile()
            except ApiError:
                errors += 1
                continue
            if active := world.active_jobs():
                world.finish(active[0])
            elif not operator.logs.work():
                if at_rest(world, "kic1"):
                    break
                world.advance(again or 0)
        assert errors

    asyncio.run(scenario())
    assert world.status("kic1")["state"] == "Succeeded"
    assert not world.all(JOB)
    assert set(world.published().values()) == {1}


def test_an_outcome_is_asked_for_where_the_pods_watch_is_behind() -> None:
    world = Scenario({"a": []}).world()

    async def scenario() -> None:
        operator = OneOperator(world)
        await operator.reconcile()
        world.watchers = [lambda kind, event, item: None if kind is POD else operator.hear(kind, event, item)]
        world.finish(world.active_jobs()[0])
        await operator.reconcile()
        assert world.status("kic1")["state"] == "Succeeded"
        await operator.reconcile()
        assert operator.logs.work()

        assert list(operator.files.values()) == [[f"{world.jobs_created[0]}-pod"]], "of the pod that was asked for"

    asyncio.run(scenario())


def test_a_job_that_exists_unknown_to_the_view_is_taken_over_not_lost() -> None:
    world = Scenario({"a": []}).world()
    world.kill_after = 2  # the revision, then the Job

    async def killed() -> None:
        await OneOperator(world).reconcile()

    async def scenario() -> None:
        hidden = {key: world.objects.pop(key) for key in list(world.objects) if key[0] == JOB.plural}
        operator = OneOperator(world)
        world.objects |= hidden  # its watch is behind
        world.watchers = []
        await operator.reconcile()
        await operator.reconcile()

    with pytest.raises(Killed):
        asyncio.run(killed())
    asyncio.run(scenario())
    assert world.status("kic1")["steps"][0]["attempt"] == 1
    assert "retries" not in world.status("kic1")["steps"][0]
    assert len(world.jobs_created) == 1
    assert list(world.all(PROCESSING)) == ["kic1"]
