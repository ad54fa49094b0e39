"""Components of the cluster are killed and started again while stars are in flight."""

import itertools
from collections.abc import Callable

from e2e.chaos.drill import Drill
from e2e.chaos.fault import Fault
from e2e.chaos.workload import fleet
from e2e.cluster.settings import NODE

_NODE_GONE_SECONDS = 150


def _restarts(component: str, also: tuple[str, ...] = ()) -> Callable[[Drill], None]:
    """Restart a component again and again as the stars go on: with SIGKILL and in an orderly way by turns."""

    def inject(drill: Drill) -> None:
        cluster = drill.local
        drill.operator()
        stars = fleet(component.rpartition("-")[2], 2 if drill.short else 8, sleep="1")
        drill.undo(lambda: _start_all(drill))
        drill.create(stars)
        ways = itertools.cycle((cluster.kill, cluster.stop))
        for number, end in zip((1,) if drill.short else (1, 2 * len(stars), 3 * len(stars)), ways, strict=False):
            drill.wait_for_steps(number)
            end(component)
            drill.count()
            cluster.start(component)
            for other in also:
                cluster.start(other)

    return inject


def _start_all(drill: Drill) -> None:
    """Whatever does not run any more."""
    for component in drill.local.components:
        drill.local.start(component)


def _node_gone(drill: Drill) -> None:
    """The kubelet stops, the Node object is deleted, its pods are taken for lost; then the node comes back."""
    cluster = drill.local
    drill.operator()
    drill.undo(lambda: _start_all(drill))
    stars = fleet("node", 2 if drill.short else 8, sleep="2")
    drill.create(stars)
    drill.wait_for_steps(1)
    cluster.stop("kubelet")
    drill.count()
    drill.until(lambda: drill.arena.api.delete_node(NODE), "the Node deleted", 20)
    if drill.short:
        # As an administrator does who knows that the node is lost.
        for pod in drill.arena.api.items("pods"):
            if pod["status"].get("phase") not in ("Succeeded", "Failed"):
                drill.arena.api.delete("pods", pod["metadata"]["name"], grace_seconds=0)
    else:
        # The pod garbage collector needs 40 s to believe it.
        drill.until(_no_active_pod(drill), "the pods of the lost node deleted", _NODE_GONE_SECONDS)
    drill.until(lambda: drill.retried("Infrastructure") > 0, "a step lost with its node", 60)
    cluster.start("kubelet")


def _no_active_pod(drill: Drill) -> Callable[[], bool]:
    """Whether no pod is left that had not ended; modules are init containers, so theirs are still Pending."""

    def look() -> bool:
        pods = [pod for pod in drill.arena.api.items("pods") if pod["spec"].get("nodeName") == NODE]
        return all(pod["status"].get("phase") in ("Succeeded", "Failed") for pod in pods)

    return look


FAULTS = (
    Fault(
        "api-server-restarted",
        {"api-server-restarted": "the API server is killed or stopped, and started again"},
        _restarts("kube-apiserver"),
        limit_seconds=240,
        components=True,
    ),
    Fault(
        "etcd-restarted",
        {"etcd-restarted": "etcd is killed or stopped, and started again"},
        _restarts("etcd", also=("kube-apiserver",)),
        limit_seconds=240,
        components=True,
    ),
    Fault(
        "containerd-restarted",
        {"containerd-restarted": "containerd is killed or stopped, and started again"},
        _restarts("containerd"),
        limit_seconds=240,
        components=True,
    ),
    Fault(
        "controllers-restarted",
        {"controllers-restarted": "the controller manager is killed or stopped, and started again"},
        _restarts("kube-controller-manager"),
        limit_seconds=240,
        components=True,
        short=False,
    ),
    Fault(
        "node-gone",
        {"node-gone": "the kubelet is stopped, the Node deleted with its pods; then the node comes back"},
        _node_gone,
        limit_seconds=420,
        components=True,
    ),
)
