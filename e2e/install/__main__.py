"""`python -m e2e.install [--namespace NS]`."""

import argparse
import sys

from e2e.cluster.storage import NAMESPACE
from e2e.install.release import install, uninstall
from e2e.processes.command import CommandFailed
from e2e.progress import phase


def main() -> int:
    parser = argparse.ArgumentParser(description="Installs the operator, the modules and the pipelines.")
    parser.add_argument("--namespace", default=NAMESPACE)
    parser.add_argument("--uninstall", action="store_true", help="remove the operator again")
    arguments = parser.parse_args()
    try:
        if arguments.uninstall:
            with phase("removing the operator"):
                uninstall(arguments.namespace)
        else:
            with phase("operator, modules and pipelines"):
                install(arguments.namespace)
    except CommandFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
