"""Which stars of a campaign are processed again, and how. Pure.

A star's resource keeps what the star was processed with; the form's parameters are merged into these.
"""

import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

from plato_sas.api import StepState
from plato_sas_airflow.errors import BatchError, listed
from plato_sas_airflow.kube.resource import Resource
from plato_sas_airflow.kube.status import state_at_rest
from plato_sas_airflow.mission.targets.planning import PlannedBatch
from plato_sas_airflow.stars.star import star_spec
from plato_sas_airflow.stars.values import Parameters, overlaid

UNDER_WAY = "under way"
# Fields of a StarProcessing's spec, and the operators' arguments for them.
_KEPT = {
    "previousCampaign": "previous_campaign",
    "stages": "stages",
    "priority": "priority",
    "deadline": "star_deadline",
    "ttl": "star_ttl",
}


@dataclass(frozen=True)
class Present:
    """What a reprocessing needs of a star's resource. `state`: its state at rest, or `under way`."""

    star: str
    pipeline: str
    state: str
    failed_steps: frozenset[str]
    spec: Mapping[str, Any]

    @classmethod
    def of(cls, resource: Resource) -> Self:
        spec, state = resource["spec"], state_at_rest(resource)
        steps = (resource.get("status") or {}).get("steps") or []
        failed = frozenset(step["name"] for step in steps if step.get("state") == StepState.FAILED)
        kept = {key: spec[key] for key in ("parameters", "inputs", *_KEPT) if spec.get(key)}
        return cls(spec["star"], spec["pipeline"], state.value if state else UNDER_WAY, failed, kept)


@dataclass(frozen=True)
class Selection:
    """The stars to process again. `resources`: those with a resource. `others`: those whose resource is gone."""

    resources: Sequence[Present]
    others: Sequence[str] = ()
    left: Counter[str] = field(default_factory=Counter)

    def text(self) -> str:
        """The counts in one line."""
        left = ", ".join(f"{number} {state}" for state, number in sorted(self.left.items()))
        others = f", {len(self.others)} chosen without a resource" if self.others else ""
        return f"{len(self.resources)} stars to process again{others}" + (f"; left alone: {left}" if left else "")


def in_states(
    present: Iterable[Present], pipeline: str, states: Collection[str], steps: Collection[str] = ()
) -> Selection:
    """The stars that are in one of the states; with `steps`, only those that failed at one of these."""
    taken, left = [], Counter[str]()
    for one in present:
        if one.pipeline != pipeline:
            left["of other pipelines"] += 1
        elif one.state not in states:
            left[one.state] += 1
        elif steps and not one.failed_steps.intersection(steps):
            left["failed at other steps"] += 1
        else:
            taken.append(one)
    return Selection(taken, left=left)


def chosen(present: Iterable[Present], pipeline: str, stars: Iterable[str]) -> Selection:
    """Stars by name. Raises BatchError if one is under way or belongs to another pipeline."""
    known = {one.star: one for one in present}
    wanted = list(dict.fromkeys(stars))
    wrong = [
        f"{one.star} is {UNDER_WAY}" if one.state == UNDER_WAY else f"{one.star} is of pipeline {one.pipeline}"
        for one in (known[star] for star in wanted if star in known)
        if one.state == UNDER_WAY or one.pipeline != pipeline
    ]
    if wrong:
        raise BatchError(f"stars: {listed(wrong)}")
    return Selection([known[star] for star in wanted if star in known], [one for one in wanted if one not in known])


@dataclass(frozen=True)
class Group:
    """Stars with the same arguments of a StarBatchOperator; `specs` instead of `stars` if they have own inputs."""

    arguments: Mapping[str, Any]
    stars: Sequence[str] = ()
    specs: Sequence[Mapping[str, Any]] = ()


def groups(selection: Selection, changed: Parameters, previous_campaign: str) -> list[Group]:
    """The selection, grouped by the arguments of the stars' processing.

    :param changed: parameters to merge into the stars' own.
    :param previous_campaign: for stars without a resource.
    """
    same: dict[str, tuple[dict[str, Any], list[Present]]] = {}
    for one in selection.resources:
        arguments = {own: one.spec[key] for key, own in _KEPT.items() if one.spec.get(key)}
        arguments["parameters"] = overlaid(one.spec.get("parameters") or {}, changed)
        same.setdefault(json.dumps(arguments, sort_keys=True), (arguments, []))[1].append(one)
    made = []
    for arguments, members in same.values():
        plain = [one.star for one in members if not one.spec.get("inputs")]
        special = [star_spec(one.star, inputs=one.spec["inputs"]) for one in members if one.spec.get("inputs")]
        made += [Group(arguments, stars=plain)] if plain else []
        made += [Group(arguments, specs=special)] if special else []
    if selection.others:
        fresh = {"parameters": changed, **({"previous_campaign": previous_campaign} if previous_campaign else {})}
        made.append(Group(fresh, stars=selection.others))
    return made


def batches(found: Iterable[Group], size: int, most: int) -> list[tuple[Group, PlannedBatch]]:
    """Every group in batches of at most `size` stars. Raises BatchError if there would be more than `most`."""
    made: list[tuple[Group, PlannedBatch]] = []
    for group in found:
        whole: Sequence[Any] = group.specs or group.stars
        for start in range(0, len(whole), size):
            part = whole[start : start + size]
            priority = int(group.arguments.get("priority", 0))
            names = tuple(one if isinstance(one, str) else one["star"] for one in part)
            own = Group(group.arguments, () if group.specs else part, part if group.specs else ())
            made.append((own, PlannedBatch(len(made) + 1, "", priority, names)))
    if len(made) > most:
        raise BatchError(f"{len(made)} batches of at most {size} stars, and max_batches is {most}: raise batch_size")
    return made
