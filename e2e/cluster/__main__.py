"""The command line of the cluster."""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from e2e.cluster.choice import connect, recorded, remember
from e2e.cluster.errors import ClusterError
from e2e.cluster.provider import ClusterStatus, Provider
from e2e.cluster.storage import NAMESPACE, ensure_storage
from e2e.layout import KUBECONFIG
from e2e.progress import phase


def _up(cluster: Provider, options: argparse.Namespace) -> int:
    there = recorded()
    if there not in (None, cluster.name):
        raise ClusterError(f"a {there} cluster is up; first: python -m e2e.cluster --provider {there} down")
    with phase(f"{cluster.name} cluster up"):
        remember(cluster.name)
        cluster.up(replace=options.replace)
    print(f"export KUBECONFIG={KUBECONFIG}")
    return 0


def _down(cluster: Provider, options: argparse.Namespace) -> int:
    with phase(f"{cluster.name} cluster down"):
        cluster.down(purge=options.purge)
    if recorded() == cluster.name:
        remember(None)
    return 0


def _status(cluster: Provider, _: argparse.Namespace) -> int:
    status = cluster.status()
    if not status.components:
        print(f"{status.provider}: {status.node}")
        return 0
    print(table(status))
    return 0 if status.up else 1


def _load(cluster: Provider, options: argparse.Namespace) -> int:
    with phase(f"loading {len(options.archives)} archives"):
        loaded = cluster.load(options.archives)
    for image, new in loaded.items():
        print(f"{image.reference}  {image.digest[:19]}  {'loaded' if new else 'was there'}")
    return 0


def _kubeconfig(_cluster: Provider, _: argparse.Namespace) -> int:
    if not KUBECONFIG.exists():
        raise ClusterError("the cluster is not up: python -m e2e.cluster up")
    print(KUBECONFIG)
    return 0


def _storage(cluster: Provider, options: argparse.Namespace) -> int:
    inputs, products = ensure_storage(cluster, options.namespace, options.inputs, options.products)
    print(f"namespace {options.namespace}: sas-inputs is {inputs}, sas-products is {products}")
    return 0


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "-"
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s"


def table(status: ClusterStatus) -> str:
    """The status for people."""
    rows = [("COMPONENT", "PID", "UPTIME", "HEALTH", "LISTENS")]
    rows += [
        (
            c.name,
            str(c.pid or "-"),
            _duration(c.uptime_seconds),
            c.health.splitlines()[0] if c.health else "ok",
            c.ports,
        )
        for c in status.components
    ]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    lines += ["", f"provider  {status.provider}", f"server    {status.server or '-'}"]
    lines += [f"node      {status.node.splitlines()[0] if status.node else 'Ready'}"]
    lines += [f"image     {image}" for image in status.images if "@" not in image]
    return "\n".join(lines)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m e2e.cluster",
        description="The test platform's cluster: a real Kubernetes. Where a Docker engine answers kind makes it, of "
        "three nodes; else the same components run as processes of this machine, one node, which needs root. State is "
        "in .local/cluster and .local/kind, logs are in their folders logs.",
    )
    parser.add_argument(
        "--provider",
        choices=("auto", "kind", "local"),
        help="default: $CLUSTER, else auto: the one that is up, else kind where a Docker engine answers, else local",
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, action: object, text: str, more: str = "") -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}. {more}")
        added.set_defaults(action=action)
        return added

    up = command("up", _up, "make the cluster, or bring back what is missing of it, and wait until it is ready")
    up.add_argument(
        "--replace", action="store_true", help="take the place of a local cluster that another checkout has up"
    )
    down = command(
        "down",
        _down,
        "stop the cluster and remove all of its state",
        "Its objects, the images on its nodes, mounts, network and processes go. What stays: the programs in "
        ".local/bin, image archives, the logs, and the volumes in .local/volumes, which hold the products.",
    )
    down.add_argument("--purge", action="store_true", help="also delete the volumes (.local/volumes) and the logs")
    command("status", _status, "show the components, the nodes and their images; exit with 1 if they are not well")
    load = command("load", _load, "bring images to every node; one that is there with the same digest is left as it is")
    load.add_argument("archives", nargs="+", type=Path, metavar="ARCHIVE", help="an OCI archive")
    command("kubeconfig", _kubeconfig, "print the path of the kubeconfig")
    storage = command(
        "storage",
        _storage,
        "make a namespace of Pod Security level `restricted` with claims sas-inputs, sas-products",
    )
    storage.add_argument("--namespace", default=NAMESPACE, help=f"default: {NAMESPACE}")
    storage.add_argument("--inputs", type=Path, help="folder of sas-inputs (default: in .local/volumes)")
    storage.add_argument("--products", type=Path, help="folder of sas-products (default: in .local/volumes)")
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    options = _parser().parse_args(arguments)
    try:
        code: int = options.action(connect(options.provider), options)
    except (ClusterError, TimeoutError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; run the command again to continue", file=sys.stderr)
        return 130
    return code


if __name__ == "__main__":
    sys.exit(main())
