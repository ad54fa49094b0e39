"""Which star a request is about, as the kill points need it."""

import json

import pytest

from e2e.chaos.faults.operator import KillAtWrite
from e2e.chaos.proxy import Strike
from e2e.chaos.requests import Request

STARS = {"star-1": "star-1", "star-10": "star-10"}
JOBS = "/apis/batch/v1/namespaces/plato/jobs"
STATUS = "/apis/plato-sas.io/v1alpha1/namespaces/plato/starprocessings/{}/status"
REVISIONS = "/apis/apps/v1/namespaces/plato/controllerrevisions"
LEASES = "/apis/coordination.k8s.io/v1/namespaces/plato/leases"
EVENTS = "/api/v1/namespaces/plato/events"


def _post(path: str, document: object) -> Request:
    return Request("POST", path, watch=False, body=json.dumps(document).encode())


@pytest.mark.parametrize(
    ("request_", "star", "title"),
    [
        (_post(JOBS, {"metadata": {"name": "star-10-one-0123456789-1"}}), "star-10", "POST jobs"),
        (Request("DELETE", f"{JOBS}/star-1-one-0123456789-1", watch=False), "star-1", "DELETE jobs"),
        (Request("PATCH", STATUS.format("star-1"), watch=False), "star-1", "PATCH starprocessings/status"),
        (_post(EVENTS, {"metadata": {"generateName": "x."}, "involvedObject": {"name": "star-1"}}), "star-1",
         "POST events"),
        (_post(REVISIONS, {"metadata": {"name": "pipeline-0123"}}), None, "POST controllerrevisions"),
        (_post(JOBS, {"metadata": {"name": "star-2-one-0123456789-1"}}), None, "POST jobs"),
        (Request("PATCH", JOBS, watch=False, body=b"no json"), None, "PATCH jobs"),
        (Request("POST", "/version", watch=False), None, "POST /version"),
    ],
)  # fmt: skip
def test_a_request_tells_its_star(request_: Request, star: str | None, title: str) -> None:
    assert request_.star(STARS) == star
    assert request_.title == title


def test_each_star_brings_the_operator_down_once_at_its_own_write() -> None:
    killed: list[int] = []
    injector = KillAtWrite({"star-1": (2, False), "star-10": (1, True)}, lambda: killed.append(1))
    assert injector(Request("GET", STATUS.format("star-1"), watch=False)) is None
    assert injector(Request("PATCH", STATUS.format("star-1"), watch=False)) is None
    first = injector(Request("PATCH", STATUS.format("star-10"), watch=False))
    assert isinstance(first, Strike)
    assert first.forwarded
    second = injector(Request("PATCH", STATUS.format("star-1"), watch=False))
    assert isinstance(second, Strike)
    assert not second.forwarded
    assert injector.left == 0
    assert injector(Request("PATCH", STATUS.format("star-1"), watch=False)) is None
    assert injector.done == [
        "write 1, PATCH starprocessings/status, answered",
        "write 2, PATCH starprocessings/status, not sent",
    ]


@pytest.mark.parametrize("path", [REVISIONS, LEASES])
def test_what_is_written_for_no_star_is_two_points_as_well(path: str) -> None:
    injector = KillAtWrite({}, lambda: None)
    fates = [injector(_post(path, {"metadata": {"name": "r"}})) for _ in range(3)]
    assert [fate.forwarded if isinstance(fate, Strike) else None for fate in fates] == [False, True, None]
