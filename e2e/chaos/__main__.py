"""`python -m e2e.chaos [--short] [FAULT...]`."""

import argparse
import sys
from collections.abc import Sequence

from e2e.chaos.arena import STATE, ArenaError, close_arena, open_arena
from e2e.chaos.faults import FAULTS
from e2e.chaos.report import Row, read_full, text, write_document
from e2e.chaos.suite import run
from e2e.cluster import ClusterError
from e2e.layout import REPOSITORY
from e2e.processes.command import CommandFailed
from e2e.progress import phase

_DOCUMENT = REPOSITORY / "docs" / "chaos.md"


def _parser() -> argparse.ArgumentParser:
    names = "\n".join(f"  {name:<22} {'; '.join(fault.rows.values())}" for name, fault in FAULTS.items())
    parser = argparse.ArgumentParser(
        prog="python -m e2e.chaos",
        description="Injects faults into running pipelines on the test platform, and judges what they leave behind. "
        "Exit code 1 if a rule was broken. Results: .local/chaos/<fault>.json; the operators' logs: .local/chaos/logs.",
        epilog=f"faults:\n{names}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("faults", nargs="*", metavar="FAULT", help="only these (default: all)")
    parser.add_argument("--short", action="store_true", help="fewer stars and fewer injections, in some minutes")
    parser.add_argument(
        "--keep-document", action="store_true", help="do not write the full form's results into docs/chaos.md"
    )
    return parser


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.faults if name not in FAULTS]:
        parser.error(f"no such fault: {', '.join(unknown)}; there are {', '.join(FAULTS)}")
    chosen = [FAULTS[name] for name in options.faults] or [f for f in FAULTS.values() if f.short or not options.short]
    try:
        with phase("namespace, volumes, modules"):
            arena = open_arena()
        try:
            rows = []
            for row in run(arena, chosen, short=options.short):
                rows.append(row)
                _show(row)
        finally:
            with phase("removing the namespace"):
                close_arena()
    except (ArenaError, CommandFailed, ClusterError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; all changes have been undone", file=sys.stderr)
        return 130
    print(f"\n{text(rows)}")
    if not options.short and not options.keep_document:
        _write_document()
    return 0 if rows and all(row.held for row in rows) else 1


def _write_document() -> None:
    rows, lacking = read_full({row: what for fault in FAULTS.values() for row, what in fault.rows.items()}, STATE)
    name = _DOCUMENT.relative_to(REPOSITORY)
    if lacking:
        print(f"\n{name} stays as it is: no full form has been run of {', '.join(lacking)}")
        return
    write_document(rows, _DOCUMENT)
    print(f"\nwritten to {name}")


def _show(row: Row) -> None:
    print(f"  {row.fault}: injected {row.injected} times: {row.outcome}", flush=True)
    for violation in row.violations[:20]:
        print(f"    {violation.rule.value}: {violation.where}: {violation.what}", flush=True)
    if row.error:
        print("    " + row.error.replace("\n", "\n    "), flush=True)


if __name__ == "__main__":
    sys.exit(main())
