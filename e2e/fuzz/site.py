"""A namespace with an operator, for resources of any form."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from e2e.cluster import connect, ensure_storage
from e2e.install.release import install, uninstall
from e2e.kubernetes import kubectl
from e2e.tests.site import Site

NAMESPACE = "plato-fuzz"
_OPERATOR = "deployment/plato-sas-operator"
_OWN = frozenset({"fuzz", ".archive"})


@contextmanager
def fuzzed_site(pipeline: str) -> Iterator[Site]:
    """The site, with a pipeline of one step."""
    kubectl("delete", "namespace", NAMESPACE, "--ignore-not-found", "--timeout=120s", timeout=130)
    inputs, products = ensure_storage(connect(), NAMESPACE)
    install(NAMESPACE)
    site = Site(NAMESPACE, inputs, products)
    try:
        prepare(site, pipeline)
        yield site
    finally:
        uninstall(NAMESPACE)
        kubectl("delete", "namespace", NAMESPACE, "--timeout=300s", timeout=310)
        volumes = [f"persistentvolume/{NAMESPACE}-{claim}" for claim in ("sas-inputs", "sas-products")]
        kubectl("delete", *volumes, "--ignore-not-found", "--timeout=30s")


def prepare(site: Site, pipeline: str) -> None:
    """The pipeline that fuzzed stars name."""
    site.synthetic("fuzz-one", outputs=["A"])
    site.pipeline(pipeline, [{"name": "one", "module": "fuzz-one"}])


def operator_is_well(site: Site) -> list[str]:
    """What is wrong with the operator after all that; nothing, if all is well."""
    wrong = []
    (pod,) = json.loads(
        kubectl("get", "pods", "-l", "app.kubernetes.io/component=operator", "-o", "json", namespace=site.namespace)
    )["items"]
    restarts = pod["status"]["containerStatuses"][0]["restartCount"]
    if restarts:
        wrong.append(f"restarted {restarts} times (out of memory, perhaps)")
    lines = kubectl("logs", _OPERATOR, "--tail=-1", namespace=site.namespace).splitlines()
    wrong += [f"a traceback in its log: {line}" for line in lines if "Traceback" in line][:5]
    strange = {one.name for one in site.products.iterdir()} - _OWN
    if strange:
        wrong.append(f"files outside of their place: {sorted(strange)[:5]}")
    return wrong
