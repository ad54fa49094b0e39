"""Lease and logs on the real API server, in a namespace of their own."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path, PurePosixPath
from typing import Any

import pytest
import pytest_asyncio
from kubernetes.aio.config import kube_config

from e2e.kubernetes import kubectl
from e2e.layout import KUBECONFIG
from plato_sas.controller.keeping.logs import LogKeeper
from plato_sas.controller.kube.client import ApiError, KubeClient, NotFound, connect
from plato_sas.controller.kube.lease import LEASE, Lease, LeaseLost
from plato_sas.controller.kube.resources import JOB, POD
from plato_sas.jobs.names import JOB_NAME_LABEL, MANAGED_BY_LABEL, MANAGER

pytestmark = [pytest.mark.integration, pytest.mark.timeout(240)]
IMAGE = "localhost/plato-sas/stager:0.1.0"  # it has a Python
NAME = "plato-sas-operator"


@pytest_asyncio.fixture
async def client(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[KubeClient]:
    monkeypatch.setattr(kube_config, "KUBE_CONFIG_DEFAULT_LOCATION", str(KUBECONFIG))
    namespace = f"plato-shell-{uuid.uuid4().hex[:8]}"
    kubectl("create", "namespace", namespace)
    try:
        async with connect(namespace, retries=0) as connected:
            yield connected
    finally:
        kubectl("delete", "namespace", namespace, "--wait=false")


def lease(client: KubeClient, identity: str) -> Lease:
    return Lease(client, NAME, identity, duration=6.0, renewal=1.0, poll=0.2)


async def test_a_lease_changes_hands(client: KubeClient) -> None:
    first, second = lease(client, "a"), lease(client, "b")
    await first.acquire()
    held = asyncio.create_task(first.hold())
    waiting = asyncio.create_task(second.acquire())
    renewals: set[str] = set()
    async with asyncio.timeout(60):
        while len(renewals) < 8:  # renewed for longer than its duration
            renewals.add((await client.get(LEASE, NAME))["spec"]["renewTime"])
            await asyncio.sleep(0.3)
    assert first.holds()
    assert not waiting.done()
    held.cancel()
    await asyncio.gather(held, return_exceptions=True)
    await first.release()
    await asyncio.wait_for(waiting, 30)
    assert (await client.get(LEASE, NAME))["spec"]["holderIdentity"] == "b"

    held = asyncio.create_task(second.hold())
    await client.patch(LEASE, NAME, {"spec": {"holderIdentity": "thief"}})
    with pytest.raises(LeaseLost, match="held by thief"):
        await asyncio.wait_for(held, 30)
    with pytest.raises(ApiError):
        second.fence()


async def test_an_old_resource_version_is_refused(client: KubeClient) -> None:
    """What the election stands on."""
    await lease(client, "a").acquire()
    version = (await client.get(LEASE, NAME))["metadata"]["resourceVersion"]
    await client.patch(LEASE, NAME, {"spec": {"leaseDurationSeconds": 7}})
    with pytest.raises(ApiError) as error:
        await client.patch(LEASE, NAME, {"metadata": {"resourceVersion": version}, "spec": {}})
    assert error.value.status == 409


async def test_another_object_of_the_name_is_not_deleted(client: KubeClient) -> None:
    await lease(client, "a").acquire()
    found = await client.get(LEASE, NAME)
    await client.delete(LEASE, NAME, uid=str(uuid.uuid4()))
    assert (await client.get(LEASE, NAME))["metadata"]["uid"] == found["metadata"]["uid"]
    await client.delete(LEASE, NAME, uid=found["metadata"]["uid"])
    with pytest.raises(NotFound):
        await client.get(LEASE, NAME)


def loud_job(lines: int) -> dict[str, Any]:
    def container(name: str, code: str) -> dict[str, Any]:
        return {"name": name, "image": IMAGE, "command": ["python3", "-c", code], "imagePullPolicy": "IfNotPresent"}

    loud = f"import sys\nfor i in range({lines}): print('%09d' % i, 'y' * 89)\nprint('last words', file=sys.stderr)"
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "loud"},
        "spec": {
            "backoffLimit": 0,
            "template": {
                "metadata": {"labels": {MANAGED_BY_LABEL: MANAGER}},
                "spec": {
                    "restartPolicy": "Never",
                    "terminationGracePeriodSeconds": 1,
                    "initContainers": [container("step-loud", loud)],
                    "containers": [container("publish", "print('published'); raise SystemExit(3)")],
                },
            },
        },
    }


async def test_a_jobs_log_outlives_it(client: KubeClient, tmp_path: Path) -> None:
    lines = 30_000
    job = await client.create(JOB, loud_job(lines))
    kubectl("wait", "--for=condition=Failed", "job/loud", "--timeout=150s", namespace=client.namespace, timeout=160)
    pods = await client.list(POD, f"{JOB_NAME_LABEL}=loud")
    marked: asyncio.Queue[str] = asyncio.Queue()
    keeper = LogKeeper(client, tmp_path, marked.put_nowait)
    work = asyncio.create_task(keeper.run())
    try:
        keeper.request("kic1-q1", PurePosixPath("q1/KIC1"), job, pods)
        assert await asyncio.wait_for(marked.get(), 60) == "kic1-q1"
    finally:
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
    kept = (tmp_path / "q1" / "KIC1" / ".logs" / "loud.log").read_text().splitlines()
    headers = [line for line in kept if line.startswith("====")]
    assert [line.split()[1] for line in headers] == ["container=step-loud", "container=publish"]
    assert "exitCode=0" in headers[0]
    assert "exitCode=3" in headers[1]
    assert kept[1] == "000000000 " + "y" * 89
    assert "last words" in kept  # where, is open: the two streams have no order
    assert kept[-1] == "published"
    (left_out,) = [line for line in kept if "left out here" in line]
    shown = [line for line in kept[1 : kept.index(headers[1])] if line != left_out]
    written = lines * 100 + len("last words") + 1
    assert left_out == f"[... {written - sum(len(line) + 1 for line in shown)} bytes left out here ...]"
    assert (tmp_path / "q1" / "KIC1" / ".logs" / "loud.log").stat().st_size < (1 << 20) + 1000
