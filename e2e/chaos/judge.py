"""Judges what a fault has left behind. Pure: an observation and the truth in, violations out."""

from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

PUBLISHED = frozenset({"Succeeded", "Reused"})
FINISHED = frozenset({"Succeeded", "Failed", "Cancelled", "Rejected"})
DELETED = "Deleted"
"""The end of a star whose resource was deleted on purpose."""


class Rule(StrEnum):
    """What must hold after every fault."""

    TRUE_STATE = "every star ends in its true state"
    ONCE = "no step ran twice to publication"
    WHOLE = "no half product is visible"
    NO_ORPHAN = "no orphan Job is left"
    NO_SURVIVOR = "no process outlives its pod"
    MOVING = "no star stands still without a reason"
    OPERATOR = "the operator did not end by itself"


@dataclass(frozen=True)
class Violation:
    """A rule broken; `where` is a star, a step of it or a Job."""

    rule: Rule
    where: str
    what: str


@dataclass(frozen=True)
class Truth:
    """How a star must end. `steps`: each one's state; `Succeeded` means published, possibly by reuse."""

    star: str
    state: str
    steps: Mapping[str, str]
    reasons: Mapping[str, str] = field(default_factory=dict)
    """Of steps where the reason matters."""
    publishes: frozenset[str] | None = None
    """Steps that may have been published, if not just those that succeeded (a deleted star's)."""


@dataclass(frozen=True)
class StepSeen:
    state: str
    reason: str | None = None
    digest: str | None = None
    retries: Mapping[str, int] = field(default_factory=dict)
    """By class of failure."""


@dataclass(frozen=True)
class StarSeen:
    """A StarProcessing as it is at the end."""

    star: str
    uid: str
    state: str
    steps: Mapping[str, StepSeen]


@dataclass(frozen=True)
class JobSeen:
    """A Job that is there at the end, or (`gone`) was there once."""

    name: str
    uid: str
    star: str
    owners: frozenset[str]
    active: bool
    gone: bool = False


@dataclass(frozen=True)
class PodSeen:
    """A pod that is there at the end."""

    name: str
    star: str
    owners: frozenset[str]
    running: bool


@dataclass(frozen=True)
class Publication:
    """One time that a step's products became visible, by one source: a pod's report, or a look at the tree."""

    star: str
    step: str
    source: str
    identity: str


@dataclass(frozen=True)
class FolderSeen:
    """An entry of a star's folder that a reader sees at the end. `trouble`: why it is no whole product."""

    star: str
    step: str
    digest: str | None
    trouble: str = ""


@dataclass(frozen=True)
class Observation:
    """All that is seen of one fault's stars."""

    stars: tuple[StarSeen, ...] = ()
    jobs: tuple[JobSeen, ...] = ()
    pods: tuple[PodSeen, ...] = ()
    publications: tuple[Publication, ...] = ()
    folders: tuple[FolderSeen, ...] = ()
    glimpses: tuple[FolderSeen, ...] = ()
    """What was no whole product at some moment before the end."""
    stuck: int = 0
    """The most stars that an operator has counted as stuck at one time."""
    survivors: Mapping[str, int] = field(default_factory=dict)
    """How many processes there still are of pods that have ended or are gone."""
    operator_exits: tuple[int, ...] = ()


def judge(truths: tuple[Truth, ...], seen: Observation) -> tuple[Violation, ...]:
    """Every violation; empty if all rules hold."""
    found = [violation for rule in (_states, _publications, _folders) for violation in rule(truths, seen)]
    found += [violation for look in (_jobs, _pods, _survivors, _moving, _operator) for violation in look(seen)]
    return tuple(dict.fromkeys(found))


def _states(truths: tuple[Truth, ...], seen: Observation) -> Iterator[Violation]:
    stars = {one.star: one for one in seen.stars}
    for truth in truths:
        star = stars.get(truth.star)
        if truth.state == DELETED:
            if star is not None:
                yield Violation(Rule.TRUE_STATE, truth.star, "is there, although it was deleted")
            continue
        if star is None:
            yield Violation(Rule.TRUE_STATE, truth.star, "is gone")
            continue
        if star.state != truth.state:
            yield Violation(Rule.TRUE_STATE, truth.star, f"is {star.state or 'without a state'}, not {truth.state}")
        yield from _step_states(truth, star)


def _step_states(truth: Truth, star: StarSeen) -> Iterator[Violation]:
    for name in truth.steps.keys() | star.steps.keys():
        where = f"{truth.star}/{name}"
        expected, step = truth.steps.get(name), star.steps.get(name)
        if expected is None or step is None:
            yield Violation(Rule.TRUE_STATE, where, "is unknown" if expected is None else "is missing in the status")
            continue
        fits = step.state in PUBLISHED if expected in PUBLISHED else step.state == expected
        reason = truth.reasons.get(name)
        if not fits:
            yield Violation(Rule.TRUE_STATE, where, f"is {step.state} ({step.reason}), not {expected}")
        elif reason is not None and step.reason != reason:
            yield Violation(Rule.TRUE_STATE, where, f"is {step.state} for {step.reason}, not for {reason}")


def _publications(truths: tuple[Truth, ...], seen: Observation) -> Iterator[Violation]:
    counted: dict[tuple[str, str], dict[str, set[str]]] = defaultdict(lambda: defaultdict(set))
    for one in seen.publications:
        counted[one.star, one.step][one.source].add(one.identity)
    for (star, step), sources in sorted(counted.items()):
        for source, identities in sorted(sources.items()):
            if len(identities) > 1:
                times = f"was published {len(identities)} times ({source}): {', '.join(sorted(identities))}"
                yield Violation(Rule.ONCE, f"{star}/{step}", times)
    for truth in truths:
        for step, state in truth.steps.items():
            if state in PUBLISHED and not counted.get((truth.star, step)):
                yield Violation(Rule.ONCE, f"{truth.star}/{step}", "was never seen to be published")


def _folders(truths: tuple[Truth, ...], seen: Observation) -> Iterator[Violation]:
    for folder in (*seen.folders, *seen.glimpses):
        if folder.trouble:
            yield Violation(Rule.WHOLE, f"{folder.star}/{folder.step}", folder.trouble)
    folders = {(one.star, one.step): one for one in seen.folders}
    digests = {(one.star, name): step.digest for one in seen.stars for name, step in one.steps.items()}
    for truth in truths:
        published = {step for step, state in truth.steps.items() if state in PUBLISHED}
        allowed = published if truth.publishes is None else truth.publishes
        there = {step for star, step in folders if star == truth.star}
        for step in sorted(there - allowed):
            yield Violation(Rule.WHOLE, f"{truth.star}/{step}", "is visible, although no such step was to be published")
        for step in sorted(published - there):
            yield Violation(Rule.WHOLE, f"{truth.star}/{step}", "is not in the product tree")
        for step in sorted(published & there):
            reported, stored = digests.get((truth.star, step)), folders[truth.star, step].digest
            if reported != stored and truth.state != DELETED:
                yield Violation(
                    Rule.WHOLE, f"{truth.star}/{step}", f"the status has digest {reported}, the tree {stored}"
                )


def _jobs(seen: Observation) -> Iterator[Violation]:
    living = {star.uid for star in seen.stars}
    final = {star.uid for star in seen.stars if star.state in FINISHED}
    by_name: dict[str, set[str]] = defaultdict(set)
    for job in seen.jobs:
        by_name[job.name].add(job.uid)
        if job.gone:
            continue
        if not job.owners & living:
            yield Violation(Rule.NO_ORPHAN, f"Job {job.name}", "its star does not exist")
        elif job.active and job.owners & final:
            yield Violation(Rule.NO_ORPHAN, f"Job {job.name}", "is active, although its star is final")
    for name, uids in sorted(by_name.items()):
        if len(uids) > 1:
            yield Violation(Rule.ONCE, f"Job {name}", f"was created {len(uids)} times under one name")


def _pods(seen: Observation) -> Iterator[Violation]:
    present = {job.uid for job in seen.jobs if not job.gone}
    final = {star.star for star in seen.stars if star.state in FINISHED}
    for pod in seen.pods:
        if pod.running and pod.star in final:
            yield Violation(Rule.NO_ORPHAN, f"pod {pod.name}", "runs, although its star is final")
        elif not pod.owners & present:
            yield Violation(Rule.NO_ORPHAN, f"pod {pod.name}", "its Job does not exist")


def _survivors(seen: Observation) -> Iterator[Violation]:
    for pod, count in seen.survivors.items():
        yield Violation(Rule.NO_SURVIVOR, f"pod {pod}", f"{count} processes of it are left")


def _moving(seen: Observation) -> Iterator[Violation]:
    if seen.stuck:
        yield Violation(Rule.MOVING, "operator", f"counted {seen.stuck} stuck stars at one time")


def _operator(seen: Observation) -> Iterator[Violation]:
    for code in seen.operator_exits:
        yield Violation(Rule.OPERATOR, "operator", f"ended by itself with exit code {code}")
