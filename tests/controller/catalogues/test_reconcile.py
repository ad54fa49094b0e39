"""StarCatalogues brought to their end through the API: by one look after the other, and by the running loop."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from plato_sas.api import Document
from plato_sas.controller.catalogues import reconcile as module
from plato_sas.controller.catalogues.reconcile import Catalogues
from plato_sas.controller.kube.client import ApiError
from plato_sas.controller.kube.resources import CATALOGUE, EVENT, JOB, MODULE, PIPELINE, POD, Kind
from plato_sas.controller.operator import Operator
from plato_sas.controller.revisions import Revisions
from plato_sas.controller.settings import Settings
from plato_sas.controller.view.view import View
from plato_sas.controller.work import queue
from plato_sas.jobs.stage import Site
from tests.support.catalogue import IMAGE, REPORT, TABLES, ended_pod, finished_job, sample_dag, tables_with
from tests.support.cluster import FakeCluster, Killed

SITE = Site(stager_image="stager:1", catalogue_image=IMAGE)


def world(**spec: Any) -> FakeCluster:
    made = FakeCluster()
    made.catalogue(*sample_dag())
    apply(made, "q1-dp", **spec)
    return made


def apply(made: FakeCluster, name: str, **spec: Any) -> None:
    """Create a catalogue, or change its spec."""
    known = made.all(CATALOGUE).get(name, {"metadata": {"name": name, "generation": 0}, "spec": {}})
    fields = {"campaign": "q1", "pipeline": "sas-test", "tables": TABLES}
    metadata = {**known["metadata"], "generation": known["metadata"]["generation"] + 1}
    made.put(CATALOGUE, {**known, "metadata": metadata, "spec": fields | known["spec"] | spec})


def one_operator(made: FakeCluster, site: Site = SITE) -> Catalogues:
    """A freshly started one, whose view of pipelines and modules is complete."""
    made.dead = False
    view = View()
    for (plural, _), item in made.objects.items():
        for kind in (PIPELINE, MODULE):
            if plural == kind.plural:
                view.put(kind, item)
    client: Any = made
    made.watchers = [lambda kind, _, item: view.put(kind, item) if kind in (PIPELINE, MODULE) else None]
    return Catalogues(client, Revisions(client, view), site, made.now, job_ttl=60, resync=300)


def status(made: FakeCluster, name: str = "q1-dp") -> Document:
    found: Document = made.all(CATALOGUE)[name].get("status", {})
    return found


def end(made: FakeCluster, job: str, **pod: Any) -> None:
    """The Job's pod runs to its end."""
    document = made.all(JOB)[job]
    made.put(POD, ended_pod(document, **pod))
    made.put(JOB, finished_job(document, "Failed" if pod.get("code") else "Complete"))


def look(made: FakeCluster, times: int = 1, *, site: Site = SITE) -> float | None:
    """A new operator looks so often; when it would look again."""

    async def scenario() -> float | None:
        one, again = one_operator(made, site), None
        for _ in range(times):
            again = await one.reconcile("q1-dp")
            await asyncio.sleep(0)
        return again

    return asyncio.run(scenario())


def test_a_catalogue_is_made() -> None:
    made = world()
    look(made, 3)
    (job,) = made.jobs_created
    assert (status(made)["state"], status(made)["job"], status(made)["attempt"]) == ("Running", job, 1)
    end(made, job, message=REPORT.to_json())
    look(made)
    found = status(made)
    assert (found["state"], found["observedGeneration"]) == ("Succeeded", 1)
    assert found["stars"] == {"seen": 3, "withoutProducts": 1, "withProblems": 1}
    assert found["tables"][0]["files"][0] == {"path": "q1/.catalogues/q1-dp/DP3.fits", "sha256": "1" * 64}
    made.requests.clear()
    look(made, 2)
    written = [one for one in made.requests if not one.startswith(("get", "list"))]
    assert written == [f"delete jobs {job}"], "nothing but the Job that has had its time"


def test_its_job_goes_when_it_is_time() -> None:
    made = world()
    look(made)
    (job,) = made.jobs_created
    end(made, job, message=REPORT.to_json())
    look(made, 2)
    assert not made.all(JOB), "of 2030, and finished in its past by the fake clock"
    assert status(made)["state"] == "Succeeded"
    look(made)
    assert made.jobs_created == [job]


def test_a_failed_job_is_told_with_its_last_lines() -> None:
    made = world()
    look(made)
    end(made, made.jobs_created[0], code=2, message="catalogue: error: campaign 'q1' has no folder")
    look(made)
    found = status(made)
    assert (found["state"], found["message"]) == ("Failed", "catalogue: error: campaign 'q1' has no folder")
    assert found["exitCode"] == 2
    ((kind, told),) = [(one["involvedObject"]["kind"], one["message"]) for one in made.all(EVENT).values()]
    assert (kind, told) == ("StarCatalogue", f"CollectionFailed (exit code 2): {found['message']}")
    look(made, 3)
    assert len(made.jobs_created) == 1


def test_a_job_deleted_by_hand_is_made_again() -> None:
    made = world()
    look(made)
    made.remove(JOB, made.jobs_created[0])
    again = look(made)
    assert again is not None
    made.advance(again)
    look(made)
    assert len(set(made.jobs_created)) == 2
    assert (status(made)["state"], status(made)["retries"]) == ("Running", {"Infrastructure": 1})


def test_jobs_of_an_earlier_catalogue_of_the_same_name_do_not_count() -> None:
    made = world()
    look(made)
    made.remove(CATALOGUE, "q1-dp")  # its Job still waits for the garbage collector
    apply(made, "q1-dp")
    look(made)
    assert len(set(made.jobs_created)) == 2
    assert status(made)["attempt"] == 1


@pytest.mark.parametrize("requests", range(1, 8))
def test_killed_after_any_request_there_is_one_job_and_one_outcome(requests: int) -> None:
    made = world()
    made.kill_after = requests
    for _ in range(2):
        try:
            look(made, 2)
        except Killed:
            continue
    look(made)
    (job,) = made.jobs_created
    assert status(made)["job"] == job
    end(made, job, message=REPORT.to_json())
    made.kill_after = requests
    for _ in range(2):
        try:
            look(made, 2)
        except Killed:
            continue
    look(made)
    assert made.jobs_created == [job]
    assert status(made)["state"] == "Succeeded"


def test_a_rerun_makes_it_again() -> None:
    made = world()
    look(made)
    end(made, made.jobs_created[0], message=REPORT.to_json())
    look(made)
    apply(made, "q1-dp", rerun={"id": 1})
    look(made)
    assert (status(made)["state"], status(made)["rerun"]) == ("Pending", 1)
    look(made)
    assert len(made.jobs_created) == 2
    end(made, made.jobs_created[1], message=REPORT._replace(seen=9).to_json())
    look(made)
    assert (status(made)["state"], status(made)["stars"]["seen"]) == ("Succeeded", 9)


def test_a_wrong_column_is_rejected_and_mended_by_the_module() -> None:
    made = world(tables=tables_with(step="choose", fact="wanted"))
    look(made)
    assert status(made)["state"] == "Rejected"
    assert "columns[x].fact: module 'choose' declares no fact 'wanted'" in status(made)["message"]
    assert not made.jobs_created
    stored = made.all(MODULE)["choose"]
    facts = [*stored["spec"]["facts"], {"name": "wanted", "type": "number"}]
    made.put(MODULE, {**stored, "spec": {**stored["spec"], "facts": facts}})
    look(made)
    assert (status(made)["state"], len(made.jobs_created)) == ("Running", 1)


def test_a_pipeline_that_is_not_there() -> None:
    made = world(pipeline="another")
    look(made)
    assert "there is no StarPipeline 'another'" in status(made)["message"]


def test_an_operator_without_the_image_says_so() -> None:
    made = world()
    look(made, site=Site(stager_image="stager:1"))
    assert (status(made)["state"], made.jobs_created) == ("Rejected", [])
    assert "images.catalogue" in status(made)["message"]


def test_one_that_is_being_deleted_or_gone_is_left_alone() -> None:
    made = world()
    made.objects[CATALOGUE.plural, "q1-dp"]["metadata"]["deletionTimestamp"] = made.now()
    assert look(made) is None
    made.remove(CATALOGUE, "q1-dp")
    assert look(made) is None
    assert not made.jobs_created


def condition(made: FakeCluster, kind: str) -> tuple[str, str]:
    (one,) = [one for one in status(made)["conditions"] if one["type"] == kind]
    return one["status"], one["reason"]


def refusing(code: int, fields: bool = False) -> Callable[[str, Kind, str], ApiError | None]:
    return lambda verb, kind, name: ApiError(code, "no", fields) if verb == "create" and kind is JOB else None


def test_a_job_that_the_api_server_calls_wrong_fails() -> None:
    made = world()
    made.refuse = refusing(422, fields=True)
    look(made)
    assert status(made)["state"] == "Failed"
    assert condition(made, "Failed") == ("True", "JobRefused")


def test_a_job_that_is_forbidden_now_is_tried_again() -> None:
    made = world()
    made.refuse = refusing(403)
    with pytest.raises(ApiError):
        look(made)
    assert (status(made)["state"], status(made)["message"]) == ("Pending", "403: no")
    made.refuse = lambda verb, kind, name: None
    look(made)
    assert (status(made)["state"], status(made)["attempt"], len(made.jobs_created)) == ("Running", 1, 1)


# The loop, as part of the operator


def operator(made: FakeCluster) -> Operator:
    client: Any = made
    return Operator(client, Settings("plato", SITE, keep_logs=False, archive=False))


async def until(made: FakeCluster, look_at: Callable[[], bool]) -> None:
    """Looks after each change of an object."""
    changed = asyncio.Event()
    made.watchers.append(lambda *_: changed.set())
    async with asyncio.timeout(10):
        while not look_at():
            await changed.wait()
            changed.clear()


def live(made: FakeCluster, scenario: Callable[[FakeCluster], Any]) -> None:
    """The scenario beside a running operator that hears of every change."""

    async def life() -> None:
        one = operator(made)
        made.watchers = [one.observe]
        await one.prime()
        work = asyncio.create_task(one.run())
        try:
            await scenario(made)
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)

    asyncio.run(life())


def test_watch_events_drive_it() -> None:
    async def scenario(made: FakeCluster) -> None:
        await until(made, lambda: len(made.jobs_created) == 1)  # listed at the start
        apply(made, "second")
        await until(made, lambda: len(made.jobs_created) == 2)
        for job in list(made.jobs_created):
            end(made, job, message=REPORT.to_json())
        await until(made, lambda: status(made)["state"] == status(made, "second")["state"] == "Succeeded")
        made.remove(CATALOGUE, "second")
        apply(made, "third", tables=tables_with(fact="nope"))
        await until(made, lambda: status(made, "third").get("state") == "Rejected")

    live(world(), scenario)


def test_a_deleted_job_is_noticed() -> None:
    async def scenario(made: FakeCluster) -> None:
        await until(made, lambda: status(made).get("state") == "Running")
        made.remove(JOB, made.jobs_created[0])
        await until(made, lambda: status(made)["state"] == "Pending")
        assert status(made)["message"] == f"Job {made.jobs_created[0]} was deleted"

    live(world(), scenario)


def test_errors_of_one_are_retried_and_stop_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queue, "_FIRST_BACKOFF", 0.001)
    failures = [500, 0, 429]

    def refuse(verb: str, kind: Kind, name: str) -> ApiError | None:
        wanted = verb == "get" and kind is CATALOGUE and name == "q1-dp" and failures
        return ApiError(failures.pop(), "not now") if wanted else None

    async def scenario(made: FakeCluster) -> None:
        made.refuse = refuse
        apply(made, "other")
        await until(made, lambda: len(made.jobs_created) == 2)

    live(world(), scenario)
    assert failures == []


def test_a_cluster_without_the_kind_does_not_stop_the_operator(monkeypatch: pytest.MonkeyPatch) -> None:
    """The definitions of an older release may be there: Helm does not replace them."""
    monkeypatch.setattr(module, "_FIRST_PAUSE", 0.001)
    asked: list[str] = []

    def refuse(verb: str, kind: Kind, name: str) -> ApiError | None:
        if kind is not CATALOGUE:
            return None
        asked.append(verb)
        return ApiError(404, "the server could not find the requested resource") if len(asked) < 4 else None

    async def scenario(made: FakeCluster) -> None:
        made.star("kic1")
        await until(made, lambda: len(made.jobs_created) == 2)

    made = world()
    made.refuse = refuse
    live(made, scenario)
    assert asked[:4] == ["list"] * 4
