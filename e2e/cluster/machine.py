"""What a local cluster changes on the machine outside its own folders, noted beforehand and undone at its end."""

import json
from dataclasses import dataclass
from pathlib import Path

from e2e.cluster import sysctls
from e2e.cluster.commands import Runner
from e2e.cluster.settings import Settings
from e2e.layout import LOCAL
from e2e.processes.record import boot_id

_ADDRESS_LABEL = "lo:plato-sas"
# The CNI plugin and kube-proxy set them.
_SYSCTLS = ("net/ipv4/ip_forward", "net/ipv4/conf/all/route_localnet", *sysctls.OF_THE_KUBELET)


@dataclass(frozen=True)
class MachineNote:
    """The settings noted when a cluster was made."""

    state: Path
    address: str
    boot: str
    sysctls: dict[str, str]

    @property
    def checkout(self) -> Path:
        """The checkout that made it; the cluster's own folder if that is outside of one."""
        return next((folder.parent for folder in self.state.parents if folder.name == LOCAL.name), self.state)

    @property
    def current(self) -> bool:
        """Whether the machine was not restarted since."""
        return self.boot == boot_id()


def _file(runtime: Path) -> Path:
    return runtime / sysctls.NOTE


def read_note(runtime: Path) -> MachineNote | None:
    """The note, or None if there is none or only half of one."""
    try:
        content = json.loads(_file(runtime).read_text())
        return MachineNote(Path(content["state"]), content["address"], content["boot"], content["sysctls"])
    except (FileNotFoundError, ValueError, TypeError, KeyError):
        return None


def prepare(settings: Settings, runner: Runner) -> None:
    """Note the machine's settings, and give it the node's address."""
    settings.runtime.mkdir(parents=True, exist_ok=True, mode=0o711)
    if read_note(settings.runtime) is None:
        note = {
            "state": str(settings.state),
            "address": settings.address,
            "boot": boot_id(),
            "sysctls": sysctls.originals(_SYSCTLS, settings.runtime),
        }
        partial = _file(settings.runtime).with_suffix(".new")
        partial.write_text(json.dumps(note, indent=2))
        partial.replace(_file(settings.runtime))
    if settings.address not in node_addresses(runner):
        runner(["ip", "address", "add", f"{settings.address}/32", "dev", "lo", "label", _ADDRESS_LABEL])


def node_addresses(runner: Runner) -> list[str]:
    """The addresses that a cluster of this platform added to the loopback interface, known by their label."""
    found = json.loads(runner(["ip", "-json", "-4", "address", "show", "dev", "lo"]) or "[]")
    entries = [entry for interface in found for entry in interface.get("addr_info", [])]
    return [entry["local"] for entry in entries if entry.get("label") == _ADDRESS_LABEL]


def restore(runtime: Path, runner: Runner) -> None:
    """Remove the address, and restore the noted settings that have changed."""
    for address in node_addresses(runner):
        runner(["ip", "address", "delete", f"{address}/32", "dev", "lo"])
    note = read_note(runtime)
    if note is not None and note.current:
        sysctls.restore(note.sysctls, runtime)
