"""A module has no network: the chart's NetworkPolicy, as the platform enforces it."""

import json

from e2e.install.modules import pinned
from e2e.kubernetes import apply, kubectl
from e2e.tests.site import Site

# The rules follow a pod's start by a moment; from then on nothing answers.
_TRY = """
import json, os, socket, time
server = os.environ["KUBERNETES_SERVICE_HOST"], int(os.environ["KUBERNETES_SERVICE_PORT"])

def answered():
    try:
        socket.create_connection(server, timeout=2).close()
        return True
    except OSError:
        return False

deadline = time.monotonic() + {seconds}
while answered() and time.monotonic() < deadline:
    time.sleep(0.1)
print(json.dumps([answered() for _ in range(5)]), file=open({file!r}, "w"))
"""


def test_a_module_reaches_nothing_and_a_pod_of_others_does(site: Site) -> None:
    code = _TRY.format(seconds=60, file="/sas/out/IDP_A.h5")
    site.synthetic("calling", outputs=["IDP_A"], command=["python3", "-c", code], args=[])
    site.pipeline("calling", [{"name": "calling", "module": "calling"}])
    site.start("caller", pipeline="calling")
    assert site.finished("caller")["state"] == "Succeeded"
    assert json.loads((site.products / "e2e" / "caller" / "calling" / "IDP_A.h5").read_text()) == [False] * 5

    assert _others(site) == [True] * 5


def _others(site: Site) -> list[bool]:
    """The same from a pod that the policy does not select."""
    security = {
        "allowPrivilegeEscalation": False,
        "runAsNonRoot": True,
        "runAsUser": 10001,
        "capabilities": {"drop": ["ALL"]},
        "seccompProfile": {"type": "RuntimeDefault"},
    }
    container = {
        "name": "caller",
        "image": pinned("localhost/plato-sas/synthetic:0.1.0"),
        "command": ["python3", "-c", _TRY.format(seconds=0, file="/dev/stdout")],
        "securityContext": security,
    }
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "other-caller"},
        "spec": {"restartPolicy": "Never", "dnsPolicy": "Default", "containers": [container]},
    }
    apply([pod], namespace=site.namespace)
    wait = ("wait", "--for=jsonpath={.status.phase}=Succeeded", "pod/other-caller", "--timeout=60s")
    kubectl(*wait, namespace=site.namespace)
    answers: list[bool] = json.loads(kubectl("logs", "other-caller", namespace=site.namespace))
    kubectl("delete", "pod", "other-caller", "--now", namespace=site.namespace)
    return answers
