"""ControllerRevisions that no star needs any more go; nothing else does."""

import asyncio
from collections.abc import Mapping

import pytest

from plato_sas.api import StarProcessing
from plato_sas.controller import revisions
from plato_sas.controller.kube.client import ApiError
from plato_sas.controller.kube.resources import PROCESSING, REVISION
from tests.support.cluster import FakeCluster
from tests.support.operator import OneOperator, drive
from tests.support.samples import dag

FIRST: Mapping[str, list[str]] = {"a": []}
SECOND: Mapping[str, list[str]] = {"a": [], "b": ["a"]}


def two_revisions() -> tuple[FakeCluster, str, str]:
    """kic1 has run with an earlier graph, kic2 with the present one."""
    world = FakeCluster()
    found: list[str] = []
    for star, edges in (("kic1", FIRST), ("kic2", SECOND)):
        world.catalogue(*dag(edges))
        world.star(star)
        asyncio.run(drive(world, OneOperator(world), star))
        found += [name for name in world.revisions() if name not in found]
    world.advance(2 * 3600)
    return world, found[0], found[1]


def collect(world: FakeCluster) -> list[str]:
    """What a fresh operator leaves."""

    async def scenario() -> None:
        await OneOperator(world).revisions.collect(world.now())

    asyncio.run(scenario())
    return world.revisions()


def test_what_a_star_names_or_would_take_stays() -> None:
    world, old, present = two_revisions()
    assert collect(world) == [old, present]
    world.remove(PROCESSING, "kic2")
    assert collect(world) == [old, present], "the pipeline is as it was"


def test_what_no_star_names_any_more_goes() -> None:
    world, _, present = two_revisions()
    world.remove(PROCESSING, "kic1")
    assert collect(world) == [present]


def test_others_revisions_are_not_touched() -> None:
    world, old, present = two_revisions()
    world.put(REVISION, {"metadata": {"name": "a-daemonset", "labels": {}}})
    world.remove(PROCESSING, "kic1")
    world.advance(2 * 3600)
    assert collect(world) == [present, "a-daemonset"]
    assert old not in world.revisions()


def test_a_young_revision_stays() -> None:
    world, old, _ = two_revisions()
    world.remove(PROCESSING, "kic1")
    world.all(REVISION)[old]["metadata"]["creationTimestamp"] = world.now()
    assert old in collect(world)
    world.advance(3600)
    assert old not in collect(world)


def test_a_revision_that_a_star_asked_for_just_now_stays() -> None:
    world, old, _ = two_revisions()

    async def scenario() -> None:
        operator = OneOperator(world)
        stored = operator.view.processing("kic1")
        await operator.revisions.of(StarProcessing.model_validate(stored))
        world.remove(PROCESSING, "kic1")
        await operator.revisions.collect(world.now())

    asyncio.run(scenario())
    assert old in world.revisions()


def test_a_revision_that_was_collected_is_made_again_when_it_is_needed() -> None:
    world, old, _ = two_revisions()
    world.remove(PROCESSING, "kic1")
    world.remove(PROCESSING, "kic2")

    async def scenario() -> None:
        operator = OneOperator(world)
        await operator.revisions.collect(world.now())
        assert old not in world.revisions()
        world.catalogue(*dag(FIRST))
        world.star("kic3")
        await drive(world, operator, "kic3")

    asyncio.run(scenario())
    assert world.status("kic3")["revision"] == old
    assert old in world.revisions()


def test_a_few_go_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    world, old, present = two_revisions()
    monkeypatch.setattr(revisions, "_MOST_COLLECTED", 2)
    for number in range(3):
        world.put(REVISION, world.all(REVISION)[old] | {"metadata": unused(world, old, number)})
    world.advance(2 * 3600)
    assert len(collect(world)) == 3
    assert sorted(collect(world)) == sorted([old, present])


def unused(world: FakeCluster, like: str, number: int) -> dict[str, object]:
    return {"name": f"unused-{number}", "labels": world.all(REVISION)[like]["metadata"]["labels"]}


def test_an_error_is_told_and_loses_nothing() -> None:
    world, old, _ = two_revisions()
    world.remove(PROCESSING, "kic1")
    world.refuse = lambda verb, kind, name: ApiError(403, "no right") if verb == "delete" else None
    with pytest.raises(ApiError, match="no right"):
        collect(world)
    world.refuse = lambda verb, kind, name: None
    assert old not in collect(world)
