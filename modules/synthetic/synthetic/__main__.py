"""Reads its inputs, writes the outputs and facts that it is told to, and ends as it is told to."""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path


def main() -> int:
    parser = argparse.ArgumentParser(description="A synthetic module for tests; behaviour also from /sas/params.json.")
    parser.add_argument("--output", action="append", default=[], metavar="FILE", help="a file to write in /sas/out")
    parser.add_argument("--input", action="append", default=[], metavar="NAME", help="an input that must be there")
    parser.add_argument("--root", type=Path, default=Path("/sas"), help="where the contract's folders are")
    arguments = parser.parse_args()
    root: Path = arguments.root
    parameters = json.loads((root / "params.json").read_text())
    content = [f"{os.environ['SAS_STAR']} {os.environ['SAS_CAMPAIGN']} {os.environ['SAS_STEP']}"]
    for name in arguments.input:
        path = root / "in" / name
        if not path.is_file():
            print(f"synthetic: input {name} is not there", file=sys.stderr)
            return 2
        content.append(path.read_text(errors="replace"))
    # A file with a name: the kubelet counts what it finds in the folder.
    with tempfile.NamedTemporaryFile() as filling:
        for _ in range(int(parameters.get("scratch_mib", 0))):
            filling.write(bytes(1 << 20))
        filling.flush()
        time.sleep(float(parameters.get("sleep_s", 0)))
    hoard = bytearray(int(parameters.get("memory_mib", 0)) << 20)
    if hoard:
        hoard[::4096] = b"x" * len(hoard[::4096])
    if message := parameters.get("message"):
        print(message, file=sys.stderr)
    code = int(parameters.get("exit_code", 0))
    if code and int(os.environ["SAS_ATTEMPT"]) <= int(parameters.get("failures", 1_000_000)):
        return code
    if not parameters.get("silent", False):
        for name in arguments.output:
            (root / "out" / name).write_text("\n".join(content) + "\n")
        (root / "out" / "facts.json").write_text(parameters.get("facts", "{}"))
    return 0


if __name__ == "__main__":
    sys.exit(main())
