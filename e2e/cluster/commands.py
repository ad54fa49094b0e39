"""Running other programs."""

import os
import subprocess
from collections.abc import Mapping, Sequence
from typing import Protocol

from e2e.cluster.errors import ClusterError
from e2e.setup.prerequisites import SEARCH_PATH


class Runner(Protocol):
    """Runs a program to its end and returns what it wrote to its standard output."""

    def __call__(self, command: Sequence[str], *, stdin: str = "", timeout: float = 60) -> str:
        """Raises ClusterError, with the program's own message, if it fails or does not end in `timeout` seconds."""
        ...


def run(
    command: Sequence[str], *, stdin: str = "", timeout: float = 60, environment: Mapping[str, str] | None = None
) -> str:
    """The real Runner. `environment` holds the variables that differ from this program's own."""
    shown = " ".join(command[:6]) + (" ..." if len(command) > 6 else "")
    try:
        done = subprocess.run(
            command,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**os.environ, "PATH": SEARCH_PATH, **(environment or {})},
            check=False,
        )
    except FileNotFoundError as error:
        raise ClusterError(f"{command[0]}: not found; run make cluster") from error
    except subprocess.TimeoutExpired as error:
        raise ClusterError(f"{shown}: did not end within {timeout:.0f} s") from error
    if done.returncode != 0:
        message = (done.stderr.strip() or done.stdout.strip())[-4000:]
        raise ClusterError(f"{shown}: ended with {done.returncode}\n{message}")
    return done.stdout
