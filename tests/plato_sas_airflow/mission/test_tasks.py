"""What the tasks of the DAGs do around the stars."""

import json
import logging
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import BaseNotifier
from airflow.sdk.exceptions import AirflowFailException, AirflowSkipException

from plato_sas_airflow.mission.arrivals.store import read_started
from plato_sas_airflow.mission.campaigns import all_campaigns, campaign_asset
from plato_sas_airflow.mission.tasks import arrivals, reprocess
from plato_sas_airflow.mission.tasks.lists import folder_of, work_folder
from plato_sas_airflow.mission.tasks.quarter import announce_campaign, catalogue_tables, plan_quarter, quarter_request
from plato_sas_airflow.notifications import failed_run_callback, missed_deadline
from plato_sas_airflow.settings import Settings
from plato_sas_airflow.stars.files import read_stars
from tests.plato_sas_airflow.mission.test_arrivals import put_star

FORM: dict[str, Any] = {
    "campaign": "Q5",
    "target_list": None,
    "samples": [],
    "max_bad_rows_fraction": 0.01,
    "pipeline": "sas-demo",
    "namespace": None,
    "previous_campaign": "auto",
    "parameters": {"msap3-03": {"snr_min": 4.5}},
    "batch_size": 2,
    "max_failed_fraction": 0.05,
    "catalogue": True,
}


def event(**extra: Any) -> SimpleNamespace:
    return SimpleNamespace(extra=extra)


def test_a_form_becomes_a_request() -> None:
    asked = quarter_request(FORM, {}, "/store/run")
    assert asked["previous_campaign"] == "Q4"
    assert asked["parameters"] == {"msap3-03": {"snr_min": "4.5"}}
    assert asked["namespace"] == ""
    assert asked["folder"] == "/store/run"
    json.dumps(asked)


def test_an_asset_event_lays_its_extras_over_the_form() -> None:
    events = {"targets": [event(), event(campaign="Q7", target_list="s3://x/q7.fits")]}
    asked = quarter_request(FORM, events, "/store/run")
    assert (asked["campaign"], asked["target_list"], asked["previous_campaign"]) == ("Q7", "s3://x/q7.fits", "Q6")


@pytest.mark.parametrize(
    ("changes", "events", "message"),
    [
        ({"campaign": ""}, {}, "campaign: none is given"),
        ({"campaign": "Q 5"}, {}, "campaign: "),
        ({"previous_campaign": "Q5"}, {}, "previousCampaign: must be another campaign"),
        ({"parameters": {"MSAP": {"x": "1"}}}, {}, "parameters"),
        ({}, {"targets": [event(kampagne="Q7")]}, "asset event: unknown fields kampagne"),
    ],
)
def test_a_request_that_cannot_be_right_is_named(changes: Any, events: Any, message: str) -> None:
    with pytest.raises(AirflowFailException, match=message):
        quarter_request({**FORM, **changes}, events, "/store/run")


def test_a_list_becomes_the_arguments_of_batches(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "list.csv"
    path.write_text("star,sample\nkic-1,P5\nkic-2,P1\nkic-3,P5\nkic-4,P5\nno good,P5\n")
    asked = {**FORM, "target_list": str(path), "max_bad_rows_fraction": 0.2, "folder": str(tmp_path / "run")}
    with caplog.at_level(logging.INFO):
        planned = plan_quarter(Settings(), asked)
    assert [(Path(one["stars_file"]).name, one["priority"]) for one in planned] == [
        ("0001-P1-40.csv", 40), ("0002-P5-10.csv", 10), ("0003-P5-10.csv", 10),
    ]  # fmt: skip
    assert [one.name for one in read_stars(planned[1]["stars_file"])] == ["kic-1", "kic-3"]
    assert planned[1]["failed_stars_path"] == str(tmp_path / "run" / "0002-P5-10.failed.csv")
    assert "line 6: no good: star:" in caplog.text
    assert (tmp_path / "run" / "bad-rows.csv").is_file()


def test_too_many_bad_rows_fail_the_task_for_good(tmp_path: Path) -> None:
    path = tmp_path / "list.csv"
    path.write_text("star\nkic-1\nno good\n")
    with pytest.raises(AirflowFailException, match="1 of 2 lines are not valid"):
        plan_quarter(Settings(), {**FORM, "target_list": str(path), "folder": str(tmp_path / "run")})


def test_a_missing_list_is_named() -> None:
    with pytest.raises(AirflowFailException, match="target_list: expected a non-empty text"):
        plan_quarter(Settings(), {**FORM, "folder": "/nowhere"})


def test_without_a_catalogue_there_are_no_tables() -> None:
    with pytest.raises(AirflowSkipException):
        catalogue_tables("/nowhere", {**FORM, "catalogue": False})
    with pytest.raises(AirflowFailException, match=r"/nowhere/sas-demo.yaml does not exist"):
        catalogue_tables("/nowhere", FORM)


def test_a_campaigns_asset_is_told_the_counts() -> None:
    added: list[Any] = []
    alias = SimpleNamespace(add=lambda asset, extra: added.append((asset, extra)))
    results = [{"total": 3, "succeeded": 2, "failed": 1}, {"total": 1, "succeeded": 1, "failed": 0}]
    catalogue = {"name": "q5-sas-demo", "tables": [{"name": "DP3", "files": [{"path": "Q5/.catalogues/x/DP3.fits"}]}]}
    told = announce_campaign({**FORM, "folder": "/store/run"}, results, catalogue, {all_campaigns(): alias})
    assert (told["batches"], told["total"], told["succeeded"], told["failed"]) == (2, 4, 3, 1)
    assert told["files"] == ["Q5/.catalogues/x/DP3.fits"]
    assert added == [(campaign_asset("Q5"), told)]
    assert announce_campaign({**FORM, "folder": "/"}, [], None, {all_campaigns(): alias})["catalogue"] is None


def test_files_go_to_airflows_home_unless_a_site_says_where(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_HOME", "/var/airflow")
    assert work_folder(Settings()) == "/var/airflow/plato_sas"
    run = SimpleNamespace(dag_id="d", run_id="r")
    assert folder_of(Settings(work_url="s3://sas@work/x/"), run).startswith("s3://sas@work/x/d/r-")


ARRIVALS = {**FORM, "max_bad_rows_fraction": 0.0}


def look(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, under_way: set[str], run: str) -> list[list[str]]:
    """The batches of one look, as the stars in them."""
    monkeypatch.setattr(arrivals, "_under_way", lambda *_: under_way)
    settings = Settings(inputs_url=str(tmp_path / "inputs"), work_url=str(tmp_path / "work"))
    asked = {**ARRIVALS, "target_list": str(tmp_path / "list.csv")}
    planned = arrivals.plan_arrivals(settings, asked, str(tmp_path / "work" / run))
    return [[star.name for star in read_stars(one["stars_file"])] for one in planned]


def test_a_look_starts_what_is_ready_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "list.csv").write_text("star,sample\na,P5\nb,P1\nc,P5\nd,P5\ne,P5\n")
    for star in ("a", "b", "c"):
        put_star(tmp_path / "inputs", star, transits=False)
    put_star(tmp_path / "inputs", "d", transits=True)
    assert look(tmp_path, monkeypatch, set(), "one") == [["b"], ["a", "c"]]
    # Their resources are there now: another look finds nothing new.
    assert look(tmp_path, monkeypatch, {"a", "b", "c"}, "two") == []
    # Two have ended, and their resources are gone; the third is still there, and a kit has arrived.
    settings = Settings(work_url=str(tmp_path / "work"))
    batch = {"stars_file": str(tmp_path / "work" / "one" / "0002-P5-10.csv")}
    arrivals.remember_arrivals(settings, ARRIVALS, "one", [batch], [{"total": 2, "succeeded": 2}])
    put_star(tmp_path / "inputs", "d", transits=True, kit=True)
    assert look(tmp_path, monkeypatch, {"b"}, "three") == [["d"]]


def test_stars_of_a_batch_without_a_result_are_looked_at_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "list.csv").write_text("star\na\n")
    put_star(tmp_path / "inputs", "a", transits=False)
    assert look(tmp_path, monkeypatch, set(), "one") == [["a"]]
    settings = Settings(work_url=str(tmp_path / "work"))
    with pytest.raises(AirflowFailException, match="Of 1 batches 0 have failed and 1 have no result"):
        arrivals.remember_arrivals(settings, ARRIVALS, "one", [{"stars_file": "x"}], [None])
    assert look(tmp_path, monkeypatch, set(), "two") == [["a"]]


def test_a_failed_batch_makes_the_run_fail_and_its_stars_are_remembered(tmp_path: Path) -> None:
    (tmp_path / "batch.csv").write_text("star\na\nb\n")
    settings = Settings(work_url=str(tmp_path / "work"))
    batches = [{"stars_file": str(tmp_path / "batch.csv")}]
    with pytest.raises(AirflowFailException, match="Of 1 batches 1 have failed and 0 have no result"):
        arrivals.remember_arrivals(settings, ARRIVALS, "x/one", batches, [{"total": 2, "succeeded": 1}])
    assert read_started(f"{tmp_path}/work/arrivals/Q5") == {"a", "b"}


def test_a_look_needs_to_know_where_light_curves_arrive() -> None:
    with pytest.raises(AirflowFailException, match="inputs_url: not set"):
        arrivals.plan_arrivals(Settings(), ARRIVALS, "/nowhere")


def test_stars_and_a_list_of_stars_exclude_each_other() -> None:
    asked = {**FORM, "stars": ["a"], "target_list": "x", "states": ["Failed"], "failed_steps": []}
    with pytest.raises(AirflowFailException, match="give only one of them"):
        reprocess.plan_reprocessing(Settings(), asked, "/nowhere")


def test_a_choice_of_nothing_is_refused_and_not_a_run_without_stars() -> None:
    asked = {**FORM, "stars": None, "target_list": None, "states": None, "failed_steps": None}
    with pytest.raises(AirflowFailException, match="stars, target_list, states: give at least one of them"):
        reprocess.plan_reprocessing(Settings(), asked, "/nowhere")


class Told(BaseNotifier):
    """Keeps what it is told."""

    heard: list[tuple[str, Any]] = []

    def __init__(self, to: str) -> None:
        super().__init__()
        self.to = to

    def notify(self, context: Any) -> None:
        self.heard.append((self.to, context["run_id"]))

    async def async_notify(self, context: Any) -> None:
        self.heard.append((self.to, context["dag_run"]["dag_run_id"]))


@pytest.fixture
def heard(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, Any]]:
    monkeypatch.setenv("AIRFLOW__PLATO_SAS__NOTIFIER", f"{Told.__module__}.{Told.__qualname__}")
    monkeypatch.setenv("AIRFLOW__PLATO_SAS__NOTIFIER_ARGUMENTS", '{"to": "sas@example.org"}')
    monkeypatch.setattr(Told, "heard", [])
    return Told.heard


def test_a_failed_run_is_told_to_the_notifier(heard: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    (notify,) = failed_run_callback(Settings.read())
    notify({"run_id": "r1", "dag_run": SimpleNamespace(dag_id="plato_sas_quarter"), "reason": "task_failure"})
    assert heard == [("sas@example.org", "r1")]
    assert "Run r1 of plato_sas_quarter failed: task_failure" in caplog.text


async def test_a_missed_deadline_is_told_to_the_notifier(heard: list[Any], caplog: pytest.LogCaptureFixture) -> None:
    await missed_deadline("30d", context={"dag_run": {"dag_run_id": "r1", "dag_id": "plato_sas_quarter"}})
    assert heard == [("sas@example.org", "r1")]
    assert "Run r1 of plato_sas_quarter has not finished 30d after it was queued" in caplog.text


def test_a_notifier_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = Settings(notifier="pathlib.Path")
    (notify,) = failed_run_callback(settings)
    with pytest.raises(ValueError, match=r"notifier: pathlib.Path is not a notifier"):
        notify({"run_id": "r1"})
