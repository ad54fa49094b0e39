"""The judge finds nothing wrong with what is right, and each single wrong with what is not."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from e2e.chaos.judge import (
    DELETED,
    FolderSeen,
    JobSeen,
    Observation,
    PodSeen,
    Publication,
    Rule,
    StarSeen,
    StepSeen,
    Truth,
    Violation,
    judge,
)

TREE, REPORTS = "the product tree", "pods' reports"
TRUTHS = (
    Truth("good", "Succeeded", {"one": "Succeeded", "two": "Succeeded"}),
    Truth("sick", "Failed", {"one": "Succeeded", "two": "Failed"}, {"two": "ModuleFailed"}),
)
OWNERS = {"good": "uid-good", "sick": "uid-sick"}


def _job(star: str, name: str, **changes: object) -> JobSeen:
    job = JobSeen(name, f"uid-{name}", star, frozenset({OWNERS.get(star, f"uid-{star}")}), active=False)
    return replace(job, **changes)  # type: ignore[arg-type]


def _published(star: str, step: str, identity: str = "a") -> tuple[Publication, Publication]:
    return Publication(star, step, TREE, identity), Publication(star, step, REPORTS, identity)


RIGHT = Observation(
    stars=(
        StarSeen("good", "uid-good", "Succeeded", {
            "one": StepSeen("Succeeded", digest="d1"), "two": StepSeen("Reused", digest="d2")}),
        StarSeen("sick", "uid-sick", "Failed", {
            "one": StepSeen("Succeeded", digest="d3"), "two": StepSeen("Failed", "ModuleFailed")}),
    ),
    jobs=(_job("good", "good-1"), _job("sick", "sick-1"), _job("good", "good-0", gone=True, active=True)),
    pods=(PodSeen("good-1-abcde", "good", frozenset({"uid-good-1"}), running=False),),
    publications=(*_published("good", "one"), *_published("good", "two"), *_published("sick", "one")),
    folders=(FolderSeen("good", "one", "d1"), FolderSeen("good", "two", "d2"), FolderSeen("sick", "one", "d3")),
)  # fmt: skip


def _star(name: str, **changes: object) -> Observation:
    return replace(RIGHT, stars=tuple(
        replace(star, **changes) if star.star == name else star for star in RIGHT.stars))  # type: ignore[arg-type] # fmt: skip


def _step(name: str, step: str, seen: StepSeen | None) -> Observation:
    steps = dict(next(star for star in RIGHT.stars if star.star == name).steps)
    del steps[step]
    return _star(name, steps=steps | ({step: seen} if seen else {}))


def _folder(star: str, step: str, seen: FolderSeen | None) -> Observation:
    kept = tuple(one for one in RIGHT.folders if (one.star, one.step) != (star, step))
    return replace(RIGHT, folders=kept + ((seen,) if seen else ()))


def _more(**lists: tuple[object, ...]) -> Observation:
    return replace(RIGHT, **{key: getattr(RIGHT, key) + more for key, more in lists.items()})  # type: ignore[arg-type]


MUTATIONS: dict[str, tuple[Rule, str, Callable[[], Observation]]] = {
    "a star is gone": (Rule.TRUE_STATE, "good", lambda: replace(RIGHT, stars=RIGHT.stars[1:])),
    "a star never ends": (Rule.TRUE_STATE, "good", lambda: _star("good", state="Running")),
    "a star has no status": (Rule.TRUE_STATE, "good", lambda: _star("good", state="")),
    "a failed star is called well": (Rule.TRUE_STATE, "sick", lambda: _star("sick", state="Succeeded")),
    "a good step is called failed": (
        Rule.TRUE_STATE, "good/one", lambda: _step("good", "one", StepSeen("Failed", "JobLost", "d1"))),
    "a failed step is called well": (
        Rule.TRUE_STATE, "sick/two", lambda: _step("sick", "two", StepSeen("Succeeded", digest="d4"))),
    "a step fails for another reason": (
        Rule.TRUE_STATE, "sick/two", lambda: _step("sick", "two", StepSeen("Failed", "PodLost"))),
    "a step is left out": (Rule.TRUE_STATE, "good/two", lambda: _step("good", "two", None)),
    "a step is made up": (
        Rule.TRUE_STATE, "good/three",
        lambda: _star("good", steps={**RIGHT.stars[0].steps, "three": StepSeen("Succeeded")})),
    "the tree saw two publications": (
        Rule.ONCE, "good/one", lambda: _more(publications=_published("good", "one", "b")[:1])),
    "two pods reported one": (Rule.ONCE, "good/one", lambda: _more(publications=_published("good", "one", "b")[1:])),
    "nobody saw the publication": (
        Rule.ONCE, "sick/one", lambda: replace(RIGHT, publications=RIGHT.publications[:-2])),
    "a Job was created twice": (Rule.ONCE, "Job good-1", lambda: _more(
        jobs=(_job("good", "good-1", uid="uid-other", gone=True),))),
    "a half product": (
        Rule.WHOLE, "good/one", lambda: _folder("good", "one", FolderSeen("good", "one", "d1", "output X: gone"))),
    "a product that was half once": (
        Rule.WHOLE, "good/one", lambda: _more(glimpses=(FolderSeen("good", "one", None, "no manifest"),))),
    "a product of a failed step": (Rule.WHOLE, "sick/two", lambda: _more(folders=(FolderSeen("sick", "two", "d4"),))),
    "a product is lost": (Rule.WHOLE, "good/one", lambda: _folder("good", "one", None)),
    "another product than the status says": (
        Rule.WHOLE, "good/one", lambda: _folder("good", "one", FolderSeen("good", "one", "d9"))),
    "a Job without its star": (Rule.NO_ORPHAN, "Job lost-1", lambda: _more(jobs=(_job("lost", "lost-1"),))),
    "a Job of the star's namesake": (
        Rule.NO_ORPHAN, "Job good-2", lambda: _more(jobs=(_job("good", "good-2", owners=frozenset({"uid-before"})),))),
    "a Job goes on": (Rule.NO_ORPHAN, "Job good-2", lambda: _more(jobs=(_job("good", "good-2", active=True),))),
    "a pod goes on": (Rule.NO_ORPHAN, "pod stray", lambda: _more(
        pods=(PodSeen("stray", "good", frozenset({"uid-good-1"}), running=True),))),
    "a pod without its Job": (Rule.NO_ORPHAN, "pod stray", lambda: _more(
        pods=(PodSeen("stray", "good", frozenset({"uid-gone"}), running=False),))),
    "a process is left of a pod": (
        Rule.NO_SURVIVOR, "pod good-1-x", lambda: replace(RIGHT, survivors={"good-1-x": 3})),
    "a star stands still": (Rule.MOVING, "operator", lambda: replace(RIGHT, stuck=1)),
    "the operator crashed": (Rule.OPERATOR, "operator", lambda: _more(operator_exits=(1,))),
}  # fmt: skip


def test_what_is_right_is_right() -> None:
    assert judge(TRUTHS, RIGHT) == ()


@pytest.mark.parametrize("mutation", MUTATIONS)
def test_what_is_wrong_is_found(mutation: str) -> None:
    rule, where, make = MUTATIONS[mutation]
    found = judge(TRUTHS, make())
    assert (rule, where) in {(one.rule, one.where) for one in found}, found


def test_every_rule_can_be_broken() -> None:
    assert {rule for rule, _, _ in MUTATIONS.values()} == set(Rule)


def test_a_deleted_star_is_away_and_its_products_are_whole_and_its_own() -> None:
    truth = Truth("gone", DELETED, {}, publishes=frozenset({"one"}))
    assert judge((truth,), Observation(folders=(FolderSeen("gone", "one", "d"),))) == ()
    there = Observation(stars=(StarSeen("gone", "uid", "Running", {}),))
    assert judge((truth,), there) == (Violation(Rule.TRUE_STATE, "gone", "is there, although it was deleted"),)
    half = Observation(folders=(FolderSeen("gone", "one", None, "has no manifest"),))
    assert [one.rule for one in judge((truth,), half)] == [Rule.WHOLE]
    other = Observation(folders=(FolderSeen("gone", "two", "d"),))
    assert [one.where for one in judge((truth,), other)] == ["gone/two"]


def test_a_deleted_star_leaves_no_job() -> None:
    truth = Truth("gone", DELETED, {}, publishes=frozenset())
    found = judge((truth,), Observation(jobs=(_job("gone", "gone-1", active=True),)))
    assert [(one.rule, one.where) for one in found] == [(Rule.NO_ORPHAN, "Job gone-1")]
