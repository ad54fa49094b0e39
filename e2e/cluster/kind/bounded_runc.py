"""runc for a Docker engine on a machine that lacks a capability.

`docker run --privileged` asks for every capability there is. Where this machine's own set is smaller (many virtual
machines and containers have no CAP_SYS_RESOURCE) runc ends with `unable to apply caps: operation not permitted`.
Started with runc's own arguments; standard library only.
"""

import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

# Bit numbers: include/uapi/linux/capability.h; names: capabilities(7).
NAMES = """
CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""


def lacking(status: str) -> set[str]:
    """The capabilities that this process can never have, by the text of its /proc/self/status."""
    line = next(line for line in status.splitlines() if line.startswith("CapBnd:"))
    bound = int(line.split()[1], 16)
    return {f"CAP_{name}" for bit, name in enumerate(NAMES.split()) if not bound >> bit & 1}


def specification(arguments: Sequence[str]) -> Path | None:
    """The file that says what to run: a new container's, or a further process's (runc-create(8), runc-exec(8))."""
    for position, argument in enumerate(arguments):
        name, _, value = argument.partition("=")
        value = value or (arguments[position + 1] if position + 1 < len(arguments) else "")
        if name in ("--bundle", "-b"):
            return Path(value, "config.json")
        if name in ("--process", "-p"):
            return Path(value)
    return None


def bounded(document: dict[str, Any], absent: set[str]) -> dict[str, Any]:
    """The specification without the capabilities `absent`."""
    process = document.get("process", document)
    for kind, names in (process.get("capabilities") or {}).items():
        process["capabilities"][kind] = [name for name in names or [] if name not in absent]
    return document


def main() -> None:
    arguments = sys.argv[1:]
    file = specification(arguments)
    if file is not None and file.exists():
        absent = lacking(Path("/proc/self/status").read_text())
        file.write_text(json.dumps(bounded(json.loads(file.read_text()), absent)))
    os.execvp("runc", ["runc", *arguments])  # noqa: S606


if __name__ == "__main__":
    main()
