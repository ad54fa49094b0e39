"""Modules that fail: what the user sees, what is tried again, and that the other stars go on."""

import re
from datetime import datetime
from itertools import pairwise

import pytest

from e2e.kubernetes import get, kubectl
from e2e.tests.conftest import JOB_TTL_SECONDS, START_SECONDS
from e2e.tests.site import Site, condition, states, steps, until
from plato_sas.api import Document

_NO_SUCH_IMAGE = "localhost/plato-sas/no-such-image:0.1.0"
_NOT_PULLED = ("ErrImagePull", "ImagePullBackOff")


@pytest.fixture(scope="module")
def chain(site: Site) -> str:
    """one -> two, and beside them `aside`."""
    site.synthetic("source", outputs=["IDP_A"], retry={"temporary": 2})
    site.synthetic("sink", inputs=["IDP_A"], outputs=["IDP_B"])
    site.synthetic("hungry", outputs=["IDP_A"], resources={
        "cpu": "50m", "memory": "48Mi", "memoryCap": "192Mi", "scratch": "16Mi"})  # fmt: skip
    two = {"name": "two", "module": "sink", "inputs": [{"name": "IDP_A", "step": "one"}]}
    site.pipeline("chain", [{"name": "one", "module": "source"}, two, {"name": "aside", "module": "source"}])
    site.pipeline("hungry", [{"name": "one", "module": "hungry"}])
    site.synthetic("imageless", outputs=["IDP_A"], image=_NO_SUCH_IMAGE)
    site.pipeline("imageless", [{"name": "one", "module": "imageless"}])
    # Stars that take their time go along with the others: the kubelet measures volumes once a minute, and pauses grow.
    site.start("hoarder", pipeline="chain", parameters={"one": {"scratch_mib": 40, "sleep_s": 240}})
    site.start("imageless", pipeline="imageless")
    site.start("stubborn", pipeline="chain", parameters={"one": {"exit_code": 75, "failures": 9}})
    return "chain"


def test_a_step_that_waits_for_its_image_says_so_while_it_waits(site: Site, chain: str) -> None:
    def look() -> Document | None:
        status: Document = site.star("imageless").get("status", {})
        one = steps(status).get("one", {})
        # Between two attempts it is Pending.
        return status if one.get("state") == "Running" and one.get("reason") in _NOT_PULLED else None

    status = until(look, "a step that runs, with the reason", 90)
    one, complete = steps(status)["one"], condition(status, "Complete")
    assert status["state"] == "Running"
    assert _NO_SUCH_IMAGE in one["message"]
    assert (complete["status"], complete["reason"]) == ("False", one["reason"])
    assert f"one: {one['reason']}: " in complete["message"]
    assert _NO_SUCH_IMAGE in complete["message"]


def test_a_failed_module_is_told_with_its_exit_code_and_last_lines(site: Site, chain: str) -> None:
    trouble = "flux: the light curve has no quarter 7"
    site.start("sick", pipeline=chain, parameters={"one": {"exit_code": 3, "message": trouble}})
    site.start("healthy", pipeline=chain)
    sick, healthy = site.finished("sick"), site.finished("healthy")

    assert healthy["state"] == "Succeeded"
    assert sick["state"] == "Failed"
    assert sick["step"] == "one"
    assert states(sick) == {"one": "Failed", "aside": "Succeeded", "two": "Skipped"}
    one = steps(sick)["one"]
    assert (one["exitCode"], one["attempt"], one["reason"]) == (3, 1, "ModuleFailed")
    assert one["message"] == trouble
    assert steps(sick)["two"]["reason"] == "UpstreamFailed"
    assert trouble in condition(sick, "Complete")["message"]
    told = until(
        lambda: next((text for text in [site.describe("sick")] if "StepFailed" in text.partition("Events:")[2]), None),
        "an event about the failure", 30,
    )  # fmt: skip
    assert f"one: ModuleFailed (exit code 3): {trouble}" in told
    assert site.published("sick") == {"aside"}


def test_a_temporary_failure_is_tried_again(site: Site, chain: str) -> None:
    site.start("wobbly", pipeline=chain, parameters={"one": {"exit_code": 75, "failures": 1}})
    status = site.finished("wobbly")
    assert status["state"] == "Succeeded"
    assert steps(status)["one"]["attempt"] == 2
    assert steps(status)["one"]["retries"] == {"Temporary": 1}
    assert site.manifest("wobbly", "one")["attempt"] == 2


def test_a_temporary_failure_that_stays_is_final_after_the_modules_retries(site: Site, chain: str) -> None:
    status = site.finished("stubborn")
    assert states(status) == {"one": "Failed", "aside": "Succeeded", "two": "Skipped"}
    one = steps(status)["one"]
    assert (one["reason"], one["exitCode"]) == ("TemporaryFailure", 75)
    assert (one["attempt"], one["retries"]) == (3, {"Temporary": 2})
    assert site.published("stubborn") == {"aside"}


def test_the_pause_before_another_attempt_is_doubled_each_time(site: Site, chain: str) -> None:
    site.finished("stubborn")
    # Jobs go; their logs and events tell when each attempt was made and ended.
    ran = until(lambda: found if len(found := _attempts(site, "stubborn")) == 3 else None, "three attempts' logs", 60)
    first, second = ((after[0] - before[1]).total_seconds() for before, after in pairwise(ran))
    assert 10 <= first < 20 <= second < 40


def test_a_module_out_of_memory_gets_more_up_to_its_cap(site: Site, chain: str) -> None:
    site.start("plump", pipeline="hungry", parameters={"one": {"memory_mib": 70}})
    site.start("obese", pipeline="hungry", parameters={"one": {"memory_mib": 400}})
    plump, obese = site.finished("plump"), site.finished("obese")
    assert plump["state"] == "Succeeded"
    assert steps(plump)["one"]["retries"] == {"OutOfMemory": 1}
    assert obese["state"] == "Failed"
    assert steps(obese)["one"]["reason"] == "OOMKilled"
    assert steps(obese)["one"]["exitCode"] == 137
    assert steps(obese)["one"]["attempt"] == 3  # 48, 96, 192 MiB


def test_cancelling_stops_the_jobs(site: Site, chain: str) -> None:
    site.start("unwanted", pipeline=chain, parameters={"one": {"sleep_s": 120}})
    site.in_state("unwanted", "one", "Running")
    site.patch("unwanted", {"desiredState": "Cancel"})
    status = site.finished("unwanted", 60)
    assert status["state"] == "Cancelled"
    assert states(status)["two"] == "Cancelled"
    until(lambda: not [job for job in site.jobs("unwanted") if "completionTime" not in job["status"]], "no Job", 60)
    assert "one" not in site.published("unwanted")


def test_suspending_starts_nothing_new_and_resuming_goes_on(site: Site, chain: str) -> None:
    site.start("paused", pipeline=chain, desiredState="Suspend")
    until(lambda: site.star("paused").get("status", {}).get("state") == "Suspended", "suspended", 30)
    assert site.jobs("paused") == []
    site.patch("paused", {"desiredState": "Run"})
    assert site.finished("paused")["state"] == "Succeeded"


def test_finished_jobs_stay_for_their_logs_and_then_go(site: Site, chain: str) -> None:
    site.start("tidy", pipeline="hungry", parameters={"one": {"message": "a line for the log"}})
    site.finished("tidy")
    (job,) = [one["metadata"]["name"] for one in site.jobs("tidy")]
    assert "a line for the log" in kubectl("logs", f"job/{job}", "-c", "step-one", namespace=site.namespace)
    until(lambda: not site.jobs("tidy"), "Jobs gone", JOB_TTL_SECONDS + 60)
    assert site.star("tidy")["status"]["state"] == "Succeeded"


def test_a_deleted_star_takes_its_jobs_along(site: Site, chain: str) -> None:
    site.start("gone", pipeline=chain, parameters={"one": {"sleep_s": 120}})
    site.in_state("gone", "one", "Running")
    kubectl("delete", "sp", "gone", namespace=site.namespace)
    until(lambda: not site.jobs("gone"), "Jobs gone", 60)


def test_a_second_star_on_the_same_products_waits_for_the_first(site: Site, chain: str) -> None:
    site.start("tree", pipeline=chain, parameters={"one": {"sleep_s": 6}})
    site.in_state("tree", "one", "Running")
    spec = {"star": "tree", "campaign": "e2e", "pipeline": chain}
    site.apply("StarProcessing", "tree-again", spec)
    waiting = until(lambda: site.star("tree-again").get("status"), "a status", 30)
    assert condition(waiting, "Complete")["reason"] == "ProductsInUse"
    assert "'tree'" in condition(waiting, "Complete")["message"]
    assert site.finished("tree")["state"] == "Succeeded"
    assert site.finished("tree-again")["state"] == "Succeeded"


def test_an_image_that_stays_away_fails_the_step_after_the_infrastructures_retries(site: Site, chain: str) -> None:
    status = site.finished("imageless", 300)
    one = steps(status)["one"]
    assert (status["state"], one["state"]) == ("Failed", "Failed")
    assert (one["attempt"], one["retries"]) == (6, {"Infrastructure": 5})
    assert one["reason"] in _NOT_PULLED
    assert _NO_SUCH_IMAGE in one["message"]
    limit = re.search(r"step-one could not begin within (\d+) s", one["message"])
    assert limit is not None
    assert START_SECONDS <= int(limit[1]) < 3 * START_SECONDS
    began, ended = (datetime.fromisoformat(one[key]) for key in ("startedAt", "finishedAt"))
    assert (ended - began).total_seconds() >= START_SECONDS, "pauses count from the end"


def test_a_module_that_fills_its_scratch_is_told_so(site: Site, chain: str) -> None:
    one = steps(site.finished("hoarder", 300))["one"]
    assert (one["state"], one["reason"], one["attempt"]) == ("Failed", "ScratchFull", 1)
    assert "scratch-one" in one["message"]


def _attempts(site: Site, star: str) -> list[tuple[datetime, datetime]]:
    """When the pod of each attempt at step one was made and its module ended, as far as their logs are kept."""
    made = {
        one["involvedObject"]["name"]: datetime.fromisoformat(one["firstTimestamp"])
        for one in get("events", "--field-selector=reason=SuccessfulCreate", namespace=site.namespace)
    }
    header = re.compile(r"^==== container=step-one .*finished=(\S+)", re.MULTILINE)
    logs = (site.products / "e2e" / star / ".logs").glob("*.log")
    found = ((log.stem, found[1]) for log in logs if (found := header.search(log.read_text())))
    return sorted((made[job], datetime.fromisoformat(ended)) for job, ended in found)
