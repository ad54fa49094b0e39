"""`python -m e2e.fuzz`: a fifth of the cases on the cluster, the others against the same code in processes."""

import argparse
import sys
import time

from e2e.endpoint import endpoint
from e2e.fuzz.resources import PIPELINE, Api
from e2e.fuzz.run import IN_PROCESS, run_case, run_in_process, run_resources
from e2e.fuzz.site import fuzzed_site, operator_is_well
from e2e.fuzz.tally import Tally


def main() -> int:
    parser = argparse.ArgumentParser(prog="e2e.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="how many (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=1, help="the source of chance (default: %(default)s)")
    parser.add_argument(
        "--only", metavar="KIND:CASE", help=f"one case of {', '.join(IN_PROCESS)} again, with its traceback"
    )
    arguments = parser.parse_args()
    if arguments.only:
        kind, _, case = arguments.only.partition(":")
        print(run_case(kind, arguments.seed, int(case)))
        return 0
    started = time.monotonic()
    tally = Tally(arguments.seed)
    share = arguments.cases // 5
    for kind in IN_PROCESS:
        run_in_process(tally, kind, range(arguments.cases * 4 // 5 // len(IN_PROCESS)))
        print(f"[{time.monotonic() - started:5.0f} s] {kind}: done", file=sys.stderr, flush=True)
    with fuzzed_site(PIPELINE) as site:
        api = Api(endpoint(), site.namespace)

        def progress(case: int) -> None:
            if case % 500 == 0:
                print(
                    f"[{time.monotonic() - started:5.0f} s] resources: {case} of {share}", file=sys.stderr, flush=True
                )

        run_resources(tally, api, range(share), progress)
        for what in operator_is_well(site):
            tally.wrong("operator", 0, what)
    print("\n".join(tally.lines()))
    print(f"{arguments.cases} cases, {len(tally.findings)} findings, {time.monotonic() - started:.0f} s")
    return 1 if tally.findings else 0


if __name__ == "__main__":
    sys.exit(main())
