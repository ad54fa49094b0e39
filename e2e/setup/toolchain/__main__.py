"""The command line of the toolchain."""

import argparse
import os
import sys
from collections.abc import Sequence

from e2e.layout import BIN
from e2e.setup.prerequisites import PrerequisiteError, chosen_provider
from e2e.setup.toolchain.build import ToolchainError, ensure
from e2e.setup.toolchain.tools import TOOLS, for_provider, named


def main(arguments: Sequence[str] | None = None) -> int:
    names = sorted({tool.name for tool in TOOLS})
    parser = argparse.ArgumentParser(
        prog="python -m e2e.setup.toolchain",
        description="Build the Go programs of the test platform into .local/bin: those that are missing, or made from "
        "other sources or versions than wanted now. Without names: what the chosen cluster and its tests need.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"build only these: {', '.join(names)}")
    parser.add_argument(
        "--provider",
        default=os.environ.get("CLUSTER") or "auto",
        help="auto, kind or local (default: $CLUSTER, else auto: kind where a Docker engine answers)",
    )
    options = parser.parse_args(arguments)
    try:
        provider = chosen_provider(options.provider)
        tools = [named(name, provider) for name in options.names] or for_provider(provider)
        built = ensure(tools)
    except KeyError as error:
        print(f"error: no tool is named {error.args[0]!r}; there are {', '.join(names)}", file=sys.stderr)
        return 2
    except (PrerequisiteError, ToolchainError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    print(f"{BIN}: {', '.join(tool.name for tool in tools)} ({len(built)} built)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
