"""What people do to stars: hold them, hurry them, bound their time, let them go."""

import json
import os
import re
from collections.abc import Iterator

import pytest

from e2e.cluster.storage import OWNER
from e2e.kubernetes import kubectl
from e2e.processes.command import CommandFailed
from e2e.tests.site import Site, condition, states, steps, until

_OPERATOR = "deployment/plato-sas-operator"


@pytest.fixture(scope="module")
def pair(site: Site) -> str:
    """one -> two, a Job each."""
    site.synthetic("pair-a", outputs=["IDP_A"])
    site.synthetic("pair-b", inputs=["IDP_A"], outputs=["IDP_B"])
    two = {"name": "two", "module": "pair-b", "inputs": [{"name": "IDP_A", "step": "one"}]}
    body = {"stages": "PerStep", "steps": [{"name": "one", "module": "pair-a"}, two]}
    site.apply("StarPipeline", "pair", body)
    return "pair"


def test_a_suspended_star_finishes_what_runs_and_starts_nothing_new(site: Site, pair: str) -> None:
    site.start("held", pipeline=pair, parameters={"one": {"sleep_s": 5}})
    site.in_state("held", "one", "Running")
    site.patch("held", {"desiredState": "Suspend"})
    until(lambda: site.star("held")["status"]["state"] == "Suspended", "held", 60)
    assert states(site.star("held")["status"]) == {"one": "Succeeded", "two": "Pending"}
    site.patch("held", {"desiredState": "Run"})
    assert site.finished("held")["state"] == "Succeeded"


def test_a_star_past_its_deadline_is_stopped_and_has_failed(site: Site, pair: str) -> None:
    site.start("late", pipeline=pair, deadline="6s", parameters={"one": {"sleep_s": 300}})
    status = site.finished("late", 60)
    assert status["state"] == "Failed"
    assert condition(status, "Complete")["reason"] == "DeadlineExceeded"
    assert states(status) == {"one": "Cancelled", "two": "Cancelled"}
    until(lambda: not [job for job in site.jobs("late") if "active" in job["status"]], "no active Job", 60)


def test_a_cancelled_star_can_be_taken_up_again(site: Site, pair: str) -> None:
    site.start("recalled", pipeline=pair, parameters={"one": {"sleep_s": 300}})
    site.in_state("recalled", "one", "Running")
    site.patch("recalled", {"desiredState": "Cancel"})
    assert site.finished("recalled", 60)["state"] == "Cancelled"
    again = {"desiredState": "Run", "rerun": {"id": 1, "failed": True}, "parameters": {"one": {"sleep_s": 0}}}
    site.patch("recalled", again)
    until(lambda: site.star("recalled")["status"]["state"] == "Succeeded", "taken up and finished", 120)
    assert site.published("recalled") == {"one", "two"}


@pytest.fixture
def one_slot(site: Site) -> Iterator[None]:
    """One star at a time."""
    kubectl("set", "env", _OPERATOR, "PLATO_SAS_MAX_ACTIVE_STARS=1", namespace=site.namespace)
    kubectl("rollout", "status", _OPERATOR, "--timeout=120s", namespace=site.namespace)
    yield
    kubectl("set", "env", _OPERATOR, "PLATO_SAS_MAX_ACTIVE_STARS=100", namespace=site.namespace)
    kubectl("rollout", "status", _OPERATOR, "--timeout=120s", namespace=site.namespace)


def test_the_most_urgent_star_has_the_next_slot(site: Site, pair: str, one_slot: None) -> None:
    site.start("front", pipeline=pair, parameters={"one": {"sleep_s": 8}})
    site.in_state("front", "one", "Running")
    site.start("patient", pipeline=pair)
    site.start("urgent", pipeline=pair, priority=5)
    until(lambda: site.star("patient").get("status"), "a status", 30)
    waiting = condition(site.star("patient")["status"], "Complete")
    assert (waiting["reason"], site.jobs("patient")) == ("WaitingForSlot", [])
    stars = {name: site.finished(name) for name in ("front", "urgent", "patient")}
    assert {one["state"] for one in stars.values()} == {"Succeeded"}
    assert stars["front"]["finishedAt"] <= stars["urgent"]["startedAt"]
    assert stars["urgent"]["finishedAt"] <= stars["patient"]["startedAt"]


def test_a_finished_star_goes_after_its_record_is_archived(site: Site, pair: str) -> None:
    site.start("fleeting", pipeline=pair, ttl="5s", parameters={"two": {"exit_code": 3, "message": "too faint"}})
    uid = site.star("fleeting")["metadata"]["uid"]
    until(
        lambda: not kubectl("get", "sp", "fleeting", "--ignore-not-found", "-o", "name", namespace=site.namespace),
        "the star gone", 120,
    )  # fmt: skip
    lines = (site.products / ".archive" / "e2e.jsonl").read_text().splitlines()
    (record,) = [one for one in map(json.loads, lines) if one["uid"] == uid]
    assert (record["name"], record["spec"]["star"], record["status"]["state"]) == ("fleeting", "fleeting", "Failed")
    assert steps(record["status"])["two"]["message"] == "too faint"
    assert site.published("fleeting") == {"one"}, "products stay"
    assert list((site.products / "e2e" / "fleeting" / ".logs").glob("*.log")), "logs stay"


def test_a_star_whose_record_cannot_be_archived_stays_until_it_can(site: Site, pair: str) -> None:
    record_file = site.products / ".archive" / "embargoed.jsonl"
    record_file.mkdir(parents=True)
    os.chown(record_file.parent, OWNER, OWNER)
    site.start("embargoed", pipeline=pair, campaign="embargoed", ttl="1s")
    uid = site.star("embargoed")["metadata"]["uid"]

    def refused() -> bool:
        log = kubectl("logs", _OPERATOR, "--tail=2000", namespace=site.namespace)
        told = [json.loads(line) for line in log.splitlines() if "embargoed.jsonl" in line]
        return any(one["processing"] == "embargoed" for one in told)

    until(refused, "the operator to have tried", 90)
    star = site.star("embargoed")
    assert (star["status"]["state"], star["metadata"].get("deletionTimestamp")) == ("Succeeded", None)
    record_file.rmdir()
    until(
        lambda: not kubectl("get", "sp", "embargoed", "--ignore-not-found", "-o", "name", namespace=site.namespace),
        "the star gone", 60,
    )  # fmt: skip
    records = [json.loads(line) for line in record_file.read_text().splitlines()]
    assert [(one["uid"], one["status"]["state"]) for one in records] == [(uid, "Succeeded")]


def test_every_attempt_can_be_read_after_its_job_is_gone(site: Site, pair: str) -> None:
    words = "seen once, never forgotten"
    chatty = {"message": words, "print_mib": 4, "exit_code": 75, "failures": 1}
    site.start("talker", pipeline=pair, parameters={"one": chatty})
    status = site.finished("talker")
    assert steps(status)["one"]["attempt"] == 2
    until(lambda: not site.jobs("talker"), "Jobs gone", 90)
    kept = [text for text in _kept(site, "talker", "one") if words in text]
    assert len(kept) == 2, "both attempts"
    for text in kept:
        # One stream, so the lines have an order: the runtime reads a container's two streams side by side.
        beginning, left_out, end = re.split(r"^\[\.\.\. (\d+) bytes left out here \.\.\.\]\n", text, flags=re.MULTILINE)
        assert beginning.startswith(f"{words}\n")
        assert set(beginning.splitlines()[1:] + end.splitlines()) == {"x" * 1023}
        assert len(beginning) + int(left_out) + len(end) == len(words) + 1 + 4 * 2**20
        assert (len(beginning), len(end)) == pytest.approx((2**18, 3 * 2**18), abs=1024), "a quarter and the rest"


def test_the_log_of_a_cancelled_attempt_is_kept(site: Site, pair: str) -> None:
    site.start("silenced", pipeline=pair, parameters={"one": {"message": "cut off in the middle of", "sleep_s": 300}})
    site.in_state("silenced", "one", "Running")
    until(lambda: "cut off" in _printed(site, "silenced"), "its first line", 60)
    site.patch("silenced", {"desiredState": "Cancel"})
    assert site.finished("silenced", 60)["state"] == "Cancelled"
    assert until(lambda: _kept(site, "silenced", "one"), "its log", 60) == ["cut off in the middle of\n"]


def _printed(site: Site, star: str) -> str:
    """What step one of the star's one pod has printed so far."""
    try:
        return kubectl("logs", f"--selector=plato-sas.io/star={star}", "-c", "step-one", namespace=site.namespace)
    except CommandFailed:
        return ""  # its container has not begun


def _kept(site: Site, star: str, step: str) -> list[str]:
    """What a step's container has printed, for each of the star's Jobs whose log is on the products volume."""
    logs = [path.read_text() for path in (site.products / "e2e" / star / ".logs").glob("*.log")]
    parts = [part for log in logs for part in re.split(r"^==== ", log, flags=re.MULTILINE)]
    return [part.partition("\n")[2] for part in parts if part.startswith(f"container=step-{step} ")]
