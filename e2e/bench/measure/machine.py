"""What a figure was measured on, and with which versions."""

import json
import os
import platform
from pathlib import Path
from typing import Any

from e2e.kubernetes import kubectl, run
from e2e.revision import revision
from plato_sas import __version__
from plato_sas.api import Document


def machine() -> Document:
    """Cores that this process may use, memory, kernel, processor."""
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    return {
        "cores": len(os.sched_getaffinity(0)),
        "memory": f"{pages / 2**30:.1f} GiB",
        "kernel": platform.release(),
        "processor": _processor(),
    }


def versions() -> Document:
    """Of everything that a figure depends on. Raises CommandFailed."""
    info = run("kubectl", "get", "node", "-o", "jsonpath={range .items[*]}{.status.nodeInfo}{'\\n'}{end}")
    node = info.splitlines()[0] if info.strip() else "{}"
    server = kubectl("version", "-o", "json")
    return {
        "plato-sas": __version__,
        "commit": revision(),
        "python": platform.python_version(),
        "kubernetes": _field(server, "serverVersion", "gitVersion"),
        "containerd": _field(node, "containerRuntimeVersion").removeprefix("containerd://"),
    }


def _field(text: str, *path: str) -> str:
    value: Any = json.loads(text)
    for key in path:
        value = value.get(key, {}) if isinstance(value, dict) else {}
    return value if isinstance(value, str) else ""


def _processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()
