"""What becomes of each step of a star, said plainly: no Jobs, no attempts, no order of events, no clock.

Written apart from the operator's code, so that both can be compared.
"""

from collections.abc import Mapping
from dataclasses import dataclass

MADE = "Made"  # Succeeded or Reused


@dataclass(frozen=True)
class Behaviour:
    """What a step's module does, whenever it runs. `flag` is the fact that it reports, None: it reports none."""

    verdict: str = "ends well"  # or "fails", "writes nothing", "hangs"
    flag: bool | None = None
    loose_output: bool = True  # whether it writes its optional output, EXTRA
    memory: int = 0  # Mi that it needs
    temporary: int = 0  # how often it asks to be tried again before


@dataclass(frozen=True)
class Condition:
    """`when`: the flag of a step, as it is, negated, or made irrelevant."""

    step: str
    form: str  # "{}", "!{}" or "true || {}"

    def holds(self, flag: bool | None) -> bool | None:
        if self.form.startswith("true"):
            return True
        return None if flag is None else flag is not self.form.startswith("!")


@dataclass(frozen=True)
class Wire:
    """An input made by a step: its output OUT, or the optional EXTRA."""

    step: str
    extra: bool
    optional: bool


@dataclass(frozen=True)
class Plan:
    """A step: where its inputs come from, its condition, its behaviour; `absent`: it reads a missing file."""

    wires: tuple[Wire, ...]
    condition: Condition | None
    behaviour: Behaviour
    absent: bool = False


def true_ends(plans: Mapping[str, Plan], memory_cap: int, temporary_budget: int) -> dict[str, str]:
    """Each step's end: Made, or the reason why not. `plans` are in topological order; memory in Mi."""
    ends: dict[str, str] = {}
    for name, plan in plans.items():
        ends[name] = _end(plan, plans, ends, memory_cap, temporary_budget)
    return ends


def _end(plan: Plan, plans: Mapping[str, Plan], ends: Mapping[str, str], memory_cap: int, temporary_budget: int) -> str:
    upstream = {wire.step for wire in plan.wires} | ({plan.condition.step} if plan.condition else set())
    if any(ends[name] not in (MADE, "ConditionFalse", "FactAbsent", "InputAbsent") for name in upstream):
        return "UpstreamFailed"
    if plan.condition is not None:
        made = ends[plan.condition.step] == MADE
        value = plan.condition.holds(plans[plan.condition.step].behaviour.flag if made else None)
        if value is None:
            return "FactAbsent"
        if not value:
            return "ConditionFalse"
    for wire in plan.wires:
        there = ends[wire.step] == MADE and (not wire.extra or plans[wire.step].behaviour.loose_output)
        if not there and not wire.optional:
            return "InputAbsent"
    return "InputMissing" if plan.absent else _run(plan.behaviour, memory_cap, temporary_budget)


def _run(behaviour: Behaviour, memory_cap: int, temporary_budget: int) -> str:
    if behaviour.memory > memory_cap:
        return "OOMKilled"
    if behaviour.temporary > temporary_budget:
        return "TemporaryFailure"
    verdicts = {"fails": "ModuleFailed", "writes nothing": "OutputMissing", "hangs": "DeadlineExceeded"}
    return verdicts.get(behaviour.verdict, MADE)
