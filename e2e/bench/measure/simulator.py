"""Simulated nodes beside the real one: KWOK (https://kwok.sigs.k8s.io) plays their kubelets.

The nodes are tainted, and only the benchmarks' operator adds the toleration to its pods: no other pod can land on a
node that reports success for every container.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from e2e.bench.measure.site import BenchError
from e2e.bench.report.result import FOLDER
from e2e.cluster.waiting import wait_until
from e2e.kubernetes import apply, get, kubectl
from e2e.layout import BIN, KUBECONFIG
from e2e.processes.record import ProcessRecord, start
from e2e.processes.table import end, find
from e2e.progress import phase
from e2e.setup.toolchain import ensure
from e2e.setup.toolchain.tools import named
from plato_sas.api import Document

NODES = 4
_HERE = Path(__file__).parent / "kwok"
_LABEL = "plato-sas.io/simulated"
NODE_SELECTOR = f"{_LABEL}=yes"
_GRACE_SECONDS = 5.0


def values() -> tuple[str, ...]:
    """The chart's values that send module pods to the simulated nodes."""
    key, _, value = NODE_SELECTOR.partition("=")
    escaped = key.replace(".", r"\.")
    return (
        f"modules.nodeSelector.{escaped}={value}",
        f"modules.tolerations[0].key={key}",
        "modules.tolerations[0].operator=Exists",
        "controller.logs.keep=false",  # there are no containers whose logs could be kept
    )


def _node(number: int) -> Document:
    return {
        "apiVersion": "v1",
        "kind": "Node",
        "metadata": {
            "name": f"plato-bench-{number}",
            "annotations": {"kwok.x-k8s.io/node": "plato-sas-bench"},
            "labels": {_LABEL: "yes", "kubernetes.io/hostname": f"plato-bench-{number}"},
        },
        "spec": {"taints": [{"key": _LABEL, "effect": "NoSchedule"}]},
    }


def _command() -> list[str]:
    return [
        str(BIN / "kwok"),
        f"--kubeconfig={KUBECONFIG}",
        f"--config={_HERE / 'stages.yaml'}",
        "--v=WARN",
    ]


@contextmanager
def simulated_nodes(nodes: int = NODES) -> Iterator[ProcessRecord]:
    """Nodes for pods that tolerate their taint; returns KWOK's process. Raises BenchError, CommandFailed."""
    ensure([named("kwok", "local")])
    _clear()
    log = FOLDER / "kwok.log"
    log.unlink(missing_ok=True)
    record: ProcessRecord | None = None
    try:
        with phase(f"{nodes} simulated nodes"):
            apply([_node(number) for number in range(1, nodes + 1)])
            environment = {**os.environ, "KWOK_WORKDIR": str(FOLDER / "kwok")}
            record = start(_command(), log=log, environment=environment, folder=FOLDER)
            process = record
            wait_until(
                lambda: _unready(nodes),
                what="simulated nodes",
                timeout=60,
                give_up=lambda: "" if process.alive() else f"kwok ended:\n{_tail(log)}",
            )
        yield record
        if not record.alive():
            raise BenchError(f"kwok ended:\n{_tail(log)}")
    finally:
        if record is not None:
            end(record, grace_seconds=_GRACE_SECONDS)
        _clear()


def _clear() -> None:
    """Remove what a run, perhaps a killed one, left behind."""
    for left in find(_command()):
        end(left, grace_seconds=_GRACE_SECONDS)
    kubectl("delete", "nodes", f"--selector={NODE_SELECTOR}", "--ignore-not-found", "--timeout=60s")


def _unready(expected: int) -> str:
    found = get("nodes", f"--selector={NODE_SELECTOR}", namespace="default")
    ready = 0
    for node in found:
        conditions = {one["type"]: one["status"] for one in node["status"].get("conditions", [])}
        tainted = {one["key"] for one in node["spec"].get("taints", [])} - {_LABEL}
        ready += conditions.get("Ready") == "True" and not tainted
    return "" if ready == expected else f"{ready} of {expected} are ready"


def _tail(log: Path, lines: int = 20) -> str:
    return "\n".join(log.read_text(errors="replace").splitlines()[-lines:])
