"""The faults, by name."""

from e2e.chaos.fault import Fault
from e2e.chaos.faults import api, by_hand, components, modules, operator, policy, volume

FAULTS: dict[str, Fault] = {
    fault.name: fault
    for fault in (
        *operator.FAULTS,
        *api.FAULTS,
        *components.FAULTS,
        *by_hand.FAULTS,
        *policy.FAULTS,
        *volume.FAULTS,
        *modules.FAULTS,
    )
}
