"""`python -m e2e.bench [NAME...]`, `python -m e2e.bench report`."""

import argparse
import signal
import sys
from collections.abc import Callable, Sequence
from typing import Any

from e2e.bench.cases import airflow, burst, containers, fused, latency, memory, perstep, quarter, scale
from e2e.bench.measure import options
from e2e.bench.measure.machine import machine, versions
from e2e.bench.measure.site import BenchError
from e2e.bench.report import result
from e2e.cluster.errors import ClusterError
from e2e.processes.command import CommandFailed
from e2e.setup.toolchain import ToolchainError

BENCHMARKS: dict[str, Callable[[options.Options], result.Result]] = {
    "containers": containers.run,
    "fused": fused.run,
    "perstep": perstep.run,
    "latency": latency.run,
    "scale": scale.run,
    "memory": memory.run,
    "burst": burst.run,
    "airflow": airflow.run,
    "quarter": quarter.run,
}


def _parser() -> argparse.ArgumentParser:
    defaults = options.Options()
    parser = argparse.ArgumentParser(
        prog="python -m e2e.bench",
        description="Measure the pipeline manager on the test platform. Each benchmark writes "
        ".local/bench/<name>.json; `report` puts what is there into docs/benchmarks.md.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)}; report; none: all")
    parser.add_argument("--quick", action="store_true", help="few stars: shows that it works, measures little")
    parser.add_argument("--stars", type=_positive, default=0, help="stars of `scale`, `memory`, `burst` and `quarter`")
    parser.add_argument(
        "--window", type=_positive, default=defaults.window, help="maxActiveStars of `scale` and `quarter`"
    )
    parser.add_argument("--resident", type=_positive, default=defaults.resident, help="StarProcessings at a time")
    parser.add_argument("--steps", type=_positive, default=defaults.steps, help="steps of a star")
    parser.add_argument("--per-second", type=float, default=0.0, help="stars created per second at most")
    parser.add_argument(
        "--ttl", default=defaults.ttl, help="how long a finished star of `scale` stays; empty: for ever"
    )
    return parser


def _positive(text: str) -> int:
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"{text} is less than 1")
    return value


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    chosen = vars(parser.parse_args(arguments))
    names: list[str] = chosen.pop("names") or list(BENCHMARKS)
    if names == ["report"]:
        return _report()
    unknown = [name for name in names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"no benchmark is named {unknown[0]!r}; there are {', '.join(BENCHMARKS)} and report")
    # SIGTERM ends a benchmark as Ctrl-C does: what it has made is cleaned up.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        return _run(names, options.Options(**chosen))
    except (BenchError, ClusterError, CommandFailed, ToolchainError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130


def _report() -> int:
    from e2e.bench.report import report  # matplotlib takes a second to import

    try:
        for file in report.write():
            print(file)
    except report.ReportError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _run(names: Sequence[str], chosen: options.Options) -> int:
    facts: dict[str, Any] = {"machine": machine(), "versions": versions()}
    missed = 0
    for name in names:
        started = result.now()
        found = BENCHMARKS[name](chosen)
        file = result.write(result.document(found, started=started, quick=chosen.quick, **facts))
        for title, value, unit, bar in found.figures():
            verdict = "" if bar is None else f"  bar {bar}: {'met' if bar.met(value) else 'MISSED'}"
            print(f"{title}: {value:g} {unit}{verdict}")
        print(f"  {file}")
        missed += not found.met
    return 3 if missed and not chosen.quick else 0


if __name__ == "__main__":
    sys.exit(main())
