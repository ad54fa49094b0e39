"""Each pytest-xdist worker has an operator in a namespace of its own, which is deleted afterwards."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from e2e.cluster import connect, ensure_storage
from e2e.install.release import install, uninstall
from e2e.kubernetes import kubectl
from e2e.tests.site import Site

NAMESPACE = "-".join(filter(None, ("plato-e2e", os.environ.get("PYTEST_XDIST_WORKER", ""))))
# Short, so that a test can see finished Jobs go.
JOB_TTL_SECONDS = 10
# Short, so that a test can see an image that cannot be pulled cost all its retries.
START_SECONDS = 10


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Everything here needs the platform."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):  # the hook is handed every item of the run
            item.add_marker(pytest.mark.e2e)


@pytest.fixture(scope="session")
def site() -> Iterator[Site]:
    """The operator, installed by the chart as a site would."""
    platform = connect()
    assert platform.status().up, "the test platform is not up: make cluster"
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s", timeout=130)
    inputs, products = ensure_storage(platform, NAMESPACE)
    for folder in (inputs, products):
        _empty(folder)
    settings = {"jobTtlSeconds": JOB_TTL_SECONDS, "startSeconds": START_SECONDS}
    install(NAMESPACE, values=tuple(f"controller.{name}={value}" for name, value in settings.items()))
    yield Site(NAMESPACE, inputs, products)
    uninstall(NAMESPACE)
    kubectl("delete", "namespace", NAMESPACE, "--timeout=120s", timeout=130)
    volumes = [f"persistentvolume/{NAMESPACE}-{claim}" for claim in ("sas-inputs", "sas-products")]
    kubectl("delete", *volumes, "--ignore-not-found", "--timeout=30s")


def _empty(folder: Path) -> None:
    for item in folder.iterdir():
        shutil.rmtree(item) if item.is_dir() else item.unlink()
