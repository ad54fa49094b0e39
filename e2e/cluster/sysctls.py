"""The kernel's settings that a cluster changes for the whole machine, and how they get their old values back.

Several clusters of the platform may be on one machine. Each notes the settings when it comes, in its folder below /run.
The values noted first are the machine's own: a later cluster takes them over, and the last to go sets them back.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path

from e2e.processes.record import boot_id

NOTE = "machine.json"
# The kubelet sets them wherever it runs (kuberuntime and container manager).
OF_THE_KUBELET = (
    "vm/overcommit_memory",
    "vm/panic_on_oom",
    "kernel/panic",
    "kernel/panic_on_oops",
    "kernel/keys/root_maxkeys",
    "kernel/keys/root_maxbytes",
)
_SETTINGS = Path("/proc/sys")
_RUNTIMES = Path("/run")
_OURS = "plato-sas*"


def current(name: str, root: Path = _SETTINGS) -> str | None:
    """The value of a setting now; None if this kernel does not have it."""
    file = root / name
    return file.read_text().strip() if file.exists() else None


def originals(
    names: Sequence[str], runtime: Path, runtimes: Path = _RUNTIMES, root: Path = _SETTINGS
) -> dict[str, str]:
    """The machine's own values: as the other clusters have noted them, else as they are now."""
    noted = {name: value for name in names if (value := current(name, root)) is not None}
    for settings in _noted_by_others(runtime, runtimes):
        noted.update({name: value for name, value in settings.items() if name in noted})
    return noted


def restore(noted: dict[str, str], runtime: Path, runtimes: Path = _RUNTIMES, root: Path = _SETTINGS) -> None:
    """Restore what is different now, except what another cluster still needs and will restore itself."""
    held = {name for settings in _noted_by_others(runtime, runtimes) for name in settings}
    for name, value in noted.items():
        if name not in held and current(name, root) != value:
            (root / name).write_text(value)


def _noted_by_others(runtime: Path, runtimes: Path) -> Iterator[dict[str, str]]:
    """What other clusters noted since the machine was started."""
    for file in sorted(runtimes.glob(f"{_OURS}/{NOTE}")):
        if file.parent == runtime:
            continue
        try:
            content = json.loads(file.read_text())
            if content["boot"] == boot_id():
                yield dict(content["sysctls"])
        except (OSError, ValueError, TypeError, KeyError):
            continue
