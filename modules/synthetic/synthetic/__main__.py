"""Reads its inputs, misbehaves as it is told to, writes its outputs and facts, and ends as it is told to."""

import sys

from synthetic.contract import Arguments, Refused, Run
from synthetic.misbehaviour import (
    FOUND,
    WROTE_OUTSIDE,
    fail,
    fill_scratch,
    fork_burst,
    heed_sigterm,
    hoard,
    leave_children,
    print_lines,
    wait,
    write_files,
    write_outside,
)
from synthetic.products import write_outputs


def main(words: list[str]) -> int:
    """Run once; returns the exit code."""
    try:
        run = Run(Arguments(words))
        heed_sigterm(ignore=bool(run.parameters.get("ignore_sigterm", False)))
        return behave(run)
    except Refused as refusal:
        print(f"synthetic: error: {refusal}", file=sys.stderr, flush=True)
        return refusal.code


def behave(run: Run) -> int:
    """Everything in the order that the README gives. Raises Refused."""
    if (word := str(run.parameters.get("pry", ""))) and _pry(run, word):
        return FOUND
    run.read_inputs()
    if message := run.parameters.get("message"):
        print(message, file=sys.stderr, flush=True)
    print_lines(run.integer("print_mib"))
    if run.parameters.get("write_outside", False) and write_outside(run):
        return WROTE_OUTSIDE
    leave_children(run.integer("children"))
    fork_burst(run.integer("fork_burst"))
    fill_scratch(run.integer("scratch_mib"))
    held = hoard(run.integer("memory_mib"))
    wait(float(run.parameters.get("sleep_s", 0)), bool(run.parameters.get("hang", False)))
    after = bool(run.parameters.get("crash_after_output", False))
    if not after and (code := fail(run)):
        return code
    write_files(run, run.integer("write_files"))
    if not run.parameters.get("silent", False):
        write_outputs(run)
    if way := str(run.parameters.get("plant", "")):
        from synthetic.adversary import plant

        plant(run, way)
    del held
    return fail(run) if after else 0


def _pry(run: Run, word: str) -> bool:
    from synthetic.adversary import pry  # most runs do without

    return pry(run, word)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
