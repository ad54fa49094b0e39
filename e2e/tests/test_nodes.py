"""What several nodes change: stars spread over them, and a node that is drained, switched off or cut off costs a retry.

Needs a platform of several nodes: CLUSTER=kind.
"""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime

import pytest

from e2e.cluster import KindCluster, connect
from e2e.cluster.choice import recorded
from e2e.kubernetes import get, kubectl
from e2e.tests.site import Site, states, steps, until
from plato_sas.api import Document

if recorded() != "kind":
    pytest.skip("the platform has one node; these tests need several: CLUSTER=kind", allow_module_level=True)

_STARS = 6
_ALL_DAY = {"one": {"sleep_s": 600}}
_AT_ONCE = {"one": {"sleep_s": 0}}
_OUT_OF_SERVICE = "node.kubernetes.io/out-of-service=off:NoExecute"
_LOST_SECONDS = 90


@pytest.fixture(scope="module")
def platform() -> KindCluster:
    found = connect()
    assert isinstance(found, KindCluster)
    return found


@pytest.fixture(scope="module")
def steady(site: Site) -> str:
    """One step, with no retry but those that are for free."""
    site.synthetic("steady", outputs=["IDP_A"], retry={"temporary": 0})
    site.pipeline("steady", [{"name": "one", "module": "steady"}])
    return "steady"


@pytest.fixture
def repair(platform: KindCluster) -> Iterator[ExitStack]:
    """What is done to nodes, undone after the test; all are ready then."""
    with ExitStack() as undo:
        yield undo
    kubectl("wait", "--for=condition=Ready", "--timeout=120s", "nodes", "--all", timeout=130)


def test_stars_spread_over_the_nodes_and_share_the_volume(site: Site, platform: KindCluster, steady: str) -> None:
    names = [f"spread-{number}" for number in range(_STARS)]
    for name in names:
        site.start(name, pipeline=steady, parameters={"one": {"sleep_s": 5}})
    for name in names:
        assert site.finished(name)["state"] == "Succeeded"
    assert {site.manifest(name, "one")["node"] for name in names} == set(platform.workers)


def test_a_step_reads_what_another_node_has_published(site: Site, platform: KindCluster, steady: str) -> None:
    site.synthetic("reader", inputs=["IDP_A"], outputs=["IDP_B"])
    reads = {"name": "two", "module": "reader", "inputs": [{"name": "IDP_A", "step": "one"}]}
    site.pipeline("steady-read", [{"name": "one", "module": "steady"}, reads])
    here, there = platform.workers
    with _only(here, platform):
        site.start("crossing", pipeline=steady)
        site.finished("crossing")
    with _only(there, platform):
        star = {"star": "crossing", "campaign": "e2e", "pipeline": "steady-read"}
        site.apply("StarProcessing", "crossing-read", star)
        status = site.finished("crossing-read")
    assert states(status) == {"one": "Reused", "two": "Succeeded"}
    assert [site.manifest("crossing", step)["node"] for step in ("one", "two")] == [here, there]


def test_a_drained_node_costs_a_retry_also_with_the_operator_on_it(
    site: Site, platform: KindCluster, steady: str, repair: ExitStack
) -> None:
    node = _operators_node(site)
    _run_on(site, platform, "drained", node)
    told = datetime.now(UTC)
    repair.callback(kubectl, "uncordon", node)
    kubectl("drain", node, "--ignore-daemonsets", "--delete-emptydir-data", "--timeout=120s", timeout=130)
    _assert_run_again_elsewhere(site, "drained", node, after=told)
    assert _operators_node(site) != node


@pytest.mark.parametrize("with_operator", [False, True], ids=["a-worker", "the-operators"])
def test_a_node_that_is_switched_off_holds_its_star_until_it_is_out_of_service(
    site: Site, platform: KindCluster, steady: str, repair: ExitStack, with_operator: bool
) -> None:
    node = _operators_node(site) if with_operator else _other_node(platform, _operators_node(site))
    star = f"off-{'operator' if with_operator else 'worker'}"
    _run_on(site, platform, star, node)
    repair.callback(kubectl, "taint", "node", node, f"{_OUT_OF_SERVICE}-")
    repair.callback(platform.start_node, node)
    platform.stop_node(node)
    _assert_held(site, star)
    known = datetime.now(UTC)
    kubectl("taint", "node", node, _OUT_OF_SERVICE)
    _assert_run_again_elsewhere(site, star, node, after=known)


def test_a_node_that_is_cut_off_holds_its_star_until_it_is_back(
    site: Site, platform: KindCluster, steady: str, repair: ExitStack
) -> None:
    node = _other_node(platform, _operators_node(site))
    _run_on(site, platform, "cut-off", node)
    _cut_off(platform, node, repair)
    _assert_held(site, "cut-off")
    back = datetime.now(UTC)
    repair.close()
    _assert_run_again(site, "cut-off", after=back)


def test_a_step_that_ends_on_a_node_that_is_cut_off_is_published_once(
    site: Site, platform: KindCluster, steady: str, repair: ExitStack
) -> None:
    node = _other_node(platform, _operators_node(site))
    _run_on(site, platform, "unheard", node, seconds=15)
    _cut_off(platform, node, repair)
    published = site.products / "e2e" / "unheard" / "one" / "manifest.json"
    until(published.is_file, "the step published behind the cut", 60)
    before = published.read_bytes()
    _assert_held(site, "unheard")
    repair.close()
    status = site.finished("unheard")
    assert status["state"] == "Succeeded"
    assert published.read_bytes() == before
    assert site.manifest("unheard", "one")["digest"] == steps(status)["one"]["digest"]


def _operators_node(site: Site) -> str:
    """Where the operator runs, once one is ready."""

    def look() -> str | None:
        for pod in get("pods", "--selector=app.kubernetes.io/name=plato-sas", namespace=site.namespace):
            ready = any(
                one["type"] == "Ready" and one["status"] == "True" for one in pod["status"].get("conditions", [])
            )
            if ready and "deletionTimestamp" not in pod["metadata"]:
                return str(pod["spec"]["nodeName"])
        return None

    return until(look, "an operator ready", 120)


def _other_node(platform: KindCluster, node: str) -> str:
    return next(one for one in platform.workers if one != node)


@contextmanager
def _only(node: str, platform: KindCluster) -> Iterator[None]:
    """New pods go to this node and to no other."""
    others = [one for one in platform.workers if one != node]
    kubectl("cordon", *others)
    try:
        yield
    finally:
        kubectl("uncordon", *others)


def _run_on(site: Site, platform: KindCluster, star: str, node: str, seconds: float | None = None) -> None:
    """Have the star's module run on that node, for so long or until it is stopped; its next attempt ends at once."""
    long = _ALL_DAY if seconds is None else {"one": {"sleep_s": seconds}}
    with _only(node, platform):
        site.start(star, pipeline="steady", parameters=long)
        pod = until(_running(site, star), f"the module of {star} running", 60)
    assert pod["spec"]["nodeName"] == node
    if seconds is None:
        site.patch(star, {"parameters": _AT_ONCE})


def _running(site: Site, star: str) -> Callable[[], Document | None]:
    def look() -> Document | None:
        for pod in _pods(site, star):
            for container in pod["status"].get("initContainerStatuses", []):
                if container["name"] == "step-one" and "running" in container["state"]:
                    return pod
        return None

    return look


def _pods(site: Site, star: str) -> list[Document]:
    found: list[Document] = get("pods", f"--selector=plato-sas.io/star={star}", namespace=site.namespace)
    return found


def _cut_off(platform: KindCluster, node: str, repair: ExitStack) -> None:
    platform.cut_off(node)
    repair.callback(platform.reconnect, node)


def _assert_held(site: Site, star: str) -> None:
    """Kubernetes has told the pod to go and hears nothing: no second one is started beside it."""
    until(
        lambda: ["deletionTimestamp" in pod["metadata"] for pod in _pods(site, star)] == [True],
        "pod told to go",
        _LOST_SECONDS,
    )
    status = site.star(star)["status"]
    assert (status["state"], steps(status)["one"]["attempt"]) == ("Running", 1)
    assert len(site.jobs(star)) == 1


def _assert_run_again_elsewhere(site: Site, star: str, node: str, *, after: datetime) -> None:
    _assert_run_again(site, star, after=after)
    assert site.manifest(star, "one")["node"] != node


def _assert_run_again(site: Site, star: str, *, after: datetime) -> None:
    """The second attempt, which ends at once, was for free and not before that time."""
    status = site.finished(star)
    one = steps(status)["one"]
    assert (status["state"], one["attempt"], one["retries"]) == ("Succeeded", 2, {"Infrastructure": 1})
    manifest = site.manifest(star, "one")
    assert (manifest["attemptId"], site.published(star)) == (one["job"], {"one"})
    assert datetime.fromisoformat(manifest["publishedAt"]) >= after.replace(microsecond=0)
