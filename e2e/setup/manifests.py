"""The kustomize base, rendered from the Helm chart: both install the same objects.

Run as `python -m e2e.setup.manifests`; with `--check` it only says whether the files are up to date.
"""

import argparse
import re
import subprocess
import sys
from pathlib import Path

from e2e.layout import BIN, REPOSITORY

CHART = REPOSITORY / "charts" / "plato-sas"
BASE = REPOSITORY / "manifests" / "base"
NAMESPACE = "plato"
RELEASE = "plato-sas"
KUBERNETES = "1.36.0"
"""For `helm template`, which asks no cluster: a helm built with `go install` assumes Kubernetes 1.20."""

_HEADER = "# Generated from charts/plato-sas by `make generate`; edit the chart instead.\n"
# What only Helm needs, and where it says from which template a document came.
_HELM_ONLY = re.compile(
    r"^(\s+helm\.sh/(chart|resource-policy):.*|\s+app\.kubernetes\.io/managed-by: Helm|# Source: .*)\n", re.MULTILINE
)


class RenderingFailed(Exception):
    """Helm refused; the message is Helm's."""


def helm(*arguments: str) -> str:
    """The output of helm. Raises RenderingFailed."""
    done = subprocess.run([BIN / "helm", *arguments], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise RenderingFailed(done.stderr.strip())
    return done.stdout


def template(*arguments: str) -> str:
    """The chart's documents as YAML, without the CRDs. Raises RenderingFailed."""
    return helm("template", RELEASE, str(CHART), "--namespace", NAMESPACE, "--kube-version", KUBERNETES, *arguments)


def rendered() -> dict[Path, str]:
    """The generated files of the base. Raises RenderingFailed."""
    crds = [path.read_text() for path in sorted((CHART / "crds").glob("*.yaml"))]
    return {
        BASE / "crds.yaml": _HEADER + "".join("---\n" + crd.removeprefix("---\n") for crd in crds),
        BASE / "operator.yaml": _HEADER + _HELM_ONLY.sub("", template()),
    }


def stale() -> list[Path]:
    """The generated files that differ from what the chart renders now. Raises RenderingFailed."""
    return [path for path, text in rendered().items() if not path.is_file() or path.read_text() != text]


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m e2e.setup.manifests", description="Render manifests/base from the chart."
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit with 1 if a file is out of date")
    check: bool = parser.parse_args().check
    try:
        if not check:
            for path, text in rendered().items():
                path.write_text(text)
        old = stale()
    except RenderingFailed as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    for path in old:
        print(f"{path.relative_to(REPOSITORY)} is out of date: run `make generate`", file=sys.stderr)
    return 1 if old else 0


if __name__ == "__main__":
    sys.exit(main())
