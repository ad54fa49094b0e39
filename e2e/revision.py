"""Which code this is."""

import subprocess

from e2e.layout import REPOSITORY


def revision() -> str:
    """The checkout's commit, marked if the code in it is not that commit's; empty outside a checkout."""
    command = ["git", "-C", str(REPOSITORY), "describe", "--always", "--dirty", "--abbrev=12"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=30, check=False)
    return done.stdout.strip()
