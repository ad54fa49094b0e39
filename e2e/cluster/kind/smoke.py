"""`python -m e2e.cluster.kind.smoke`: whether the project works on kind, in a few minutes.

A cluster of its own comes up beside whatever else this checkout has, the operator is installed by its chart, stars run
on both workers, and the cluster goes. Where no Docker engine can run, one line says so and nothing has failed.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from e2e import layout
from e2e.cluster.errors import ClusterError
from e2e.cluster.kind.engine import OwnEngine, choose, places
from e2e.progress import phase
from e2e.setup.prerequisites import PrerequisiteError, ensure

IMAGES = ("operator", "stager", "synthetic")
TESTS = ("e2e/tests/test_nodes.py", "e2e/tests/test_node_local_volume.py")
SHORT = (f"{TESTS[0]}::test_stars_spread_over_the_nodes_and_share_the_volume",)
_STATE = layout.LOCAL / "kind-smoke"


class StepFailed(Exception):
    """A step of the smoke ended with another code than 0."""


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m e2e.cluster.kind.smoke", description=__doc__)
    parser.add_argument("--all", action="store_true", help="pass every test that needs several nodes (six minutes)")
    parser.add_argument("--clean", action="store_true", help="only remove what an interrupted smoke left")
    options = parser.parse_args(arguments)
    if options.clean:
        return _clean()
    if why := _no_engine():
        print(f"kind smoke: left out, as no Docker engine can run here: {why}")
        return 0
    try:
        with phase("kind smoke"):
            _smoke(TESTS if options.all else SHORT)
    except StepFailed as error:
        print(f"kind smoke: FAILED: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("kind smoke: interrupted", file=sys.stderr)
        return 130
    print("kind smoke: passed")
    return 0


def _no_engine() -> str:
    """Why there is no Docker engine and none can be started; empty if one answers now."""
    try:
        ensure("kind")
        choose().up()
    except (ClusterError, PrerequisiteError) as error:
        return " ".join(str(error).split())
    return ""


def _smoke(tests: Sequence[str]) -> None:
    """Build what is missing, then bring the cluster up, use it and take it away. Raises StepFailed."""
    try:
        with ThreadPoolExecutor() as side_by_side:
            started = [side_by_side.submit(step) for step in (_build_programs, _build_images)]
            for one in started:
                one.result()
        _module("e2e.cluster", "up")
        archives = _module("e2e.images", "archives", *IMAGES, shown=False).split()
        _module("e2e.cluster", "load", *archives)
        _module("pytest", "--quiet", *tests)
    finally:
        _clean()


def _build_programs() -> None:
    # One binary is kubectl and, in a node image that is made here, everything else.
    programs = ("kube", "pause") if isinstance(choose(), OwnEngine) else ("kubectl",)
    _module("e2e.setup.toolchain", *programs, "kind", "helm")


def _build_images() -> None:
    _module("e2e.images", "build", *IMAGES)


def _clean() -> int:
    """Take away the smoke's own cluster, an engine that serves no other, and its volumes."""
    if _STATE.exists() or places().runtime.exists():
        try:
            _module("e2e.cluster", "down")
        except StepFailed as error:
            print(f"kind smoke: {error}", file=sys.stderr)
            return 1
        shutil.rmtree(_STATE, ignore_errors=True)
    return 0


def _module(name: str, *arguments: str, shown: bool = True) -> str:
    """Run one of the project's commands on the smoke's cluster; returns its output. Raises StepFailed."""
    environment = {**os.environ, "CLUSTER": "kind", "PLATO_SAS_STATE": str(_STATE)}
    run = partial(subprocess.run, env=environment, cwd=layout.REPOSITORY, text=True, check=False)
    command = [sys.executable, "-m", name, *arguments]
    done = run(command) if shown else run(command, stdout=subprocess.PIPE)
    if done.returncode != 0:
        raise StepFailed(f"{name} {' '.join(arguments[:1])} ended with {done.returncode}")
    return done.stdout or ""


if __name__ == "__main__":
    # As with Ctrl-C: the cluster goes.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    sys.exit(main())
