"""Arguments that cannot be right are named while the DAG is parsed; templates are checked when the task runs."""

from datetime import timedelta
from typing import Any

import pytest
from airflow.sdk import DAG, task

from plato_sas_airflow.batches.adoption import RerunRequest
from plato_sas_airflow.batches.results import BatchResult
from plato_sas_airflow.errors import BatchError
from plato_sas_airflow.operators.star_batch import StarBatchOperator
from plato_sas_airflow.operators.star_processing import StarProcessingOperator
from plato_sas_airflow.sensors.star_processing import StarProcessingSensor
from plato_sas_airflow.stars.star import star_spec
from tests.plato_sas_airflow.testbed import Task

GIVEN: dict[str, Any] = {
    "task_id": "stars",
    "stars": ["KIC1"],
    "campaign": "Q1",
    "pipeline": "sas-demo",
    "namespace": "plato",
}


def operator(**changes: Any) -> StarBatchOperator:
    return StarBatchOperator(**{**GIVEN, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"campaign": "Q/1"}, "campaign: "),
        ({"campaign": ""}, "campaign: expected a non-empty text"),
        ({"campaign": None}, "campaign: expected a non-empty text"),
        ({"pipeline": "No_Name"}, "pipeline: "),
        ({"stars": ["KIC1", "../etc"]}, "star '../etc': star: "),
        ({"stars": []}, "stars: the list is empty"),
        ({"stars": "KIC1,KIC2"}, "stars: neither a list"),
        ({"stars": None}, "stars, stars_file: give exactly one"),
        ({"stars_file": "x.csv"}, "stars, stars_file: give exactly one"),
        ({"star_slice": [5, 5]}, "star_slice: "),
        ({"parameters": {"MSAP1": {"window": 1}}}, r"parameters\.MSAP1"),
        ({"parameters": {"msap1": 3}}, r"parameters\.msap1: expected a mapping"),
        ({"parameters": "{x"}, "parameters: .* is not JSON"),
        ({"previous_campaign": "Q1"}, "previous_campaign: must be another campaign"),
        ({"previous_campaign": "Q 0"}, "previous_campaign: "),
        ({"stages": "Half"}, "stages: "),
        ({"priority": 1001}, "priority: "),
        ({"priority": "high"}, "priority: expected a whole number"),
        ({"star_deadline": "6 hours"}, "star_deadline: "),
        ({"star_ttl": "1y"}, "star_ttl: "),
        ({"rerun": "perhaps"}, "rerun: expected true or false"),
        ({"rerun_from": "msap1"}, "rerun_from: .*JSON"),
        ({"rerun_from": {"a": 1}}, "rerun_from: expected a list of names"),
        ({"max_failed_fraction": 1.5}, "max_failed_fraction: expected a number from 0 to 1"),
        ({"max_failed_fraction": True}, "max_failed_fraction: "),
        ({"report_seconds": 0}, "report_seconds: "),
        ({"rejected_after": timedelta(seconds=-1)}, "rejected_after: "),
        ({"rejected_after": 300}, "rejected_after: expected a timedelta"),
        ({"timeout": 3600}, "timeout: expected a timedelta"),
        ({"kubernetes_conn_id": ""}, "kubernetes_conn_id: "),
    ],
)
def test_a_wrong_argument_is_named_at_once(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BatchError, match=message):
        operator(**changes)


def test_all_wrong_arguments_are_named_together() -> None:
    with pytest.raises(BatchError) as caught:
        operator(campaign="a/b", priority=5000, report_seconds=-1)
    assert [name in str(caught.value) for name in ("campaign", "priority", "report_seconds")] == [True] * 3


def test_an_unknown_argument_is_refused() -> None:
    with pytest.raises(TypeError, match="max_failures"):
        operator(max_failures=3)


def test_what_is_not_known_yet_is_not_judged() -> None:
    with DAG("d", schedule=None):

        @task
        def find() -> list[str]:
            return ["KIC1"]

        found: Any = find()
        operator(task_id="a", stars=found, campaign="{{ params.campaign }}", priority="{{ params.priority }}")
        operator(task_id="b", parameters={"msap1": {"window": "{{ params.window }}"}}, previous_campaign="{{ x }}")
        operator(task_id="c", stars="{{ params.stars | tojson }}", rerun="{{ params.rerun }}", rerun_from="{{ s }}")


def test_a_star_alone_is_checked_too() -> None:
    given = {name: value for name, value in GIVEN.items() if name != "stars"}
    with pytest.raises(BatchError, match="star: "):
        StarProcessingOperator(star="KIC 1", **given)
    with pytest.raises(BatchError, match=r"inputs\.DP1\.sha: "):
        StarProcessingOperator(star="KIC1", inputs={"DP1": {"sha": "x"}}, **given)
    assert StarProcessingOperator(star="{{ params.star }}", inputs="{{ params.inputs }}", **given)


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "give exactly one"),
        ({"name": "a", "label_selector": "b=c"}, "give exactly one"),
        ({"star": "KIC1"}, "star, campaign: give both or neither"),
        ({"star": "KIC/1", "campaign": "Q1"}, "star: "),
        ({"name": "a", "allowed_states": ["Done"]}, "allowed_states: Done: there is no such state"),
        ({"name": "a", "step": "msap1", "allowed_states": ["Rejected"]}, "allowed_states: Rejected"),
        ({"name": "a", "allowed_states": []}, "allowed_states: none"),
        ({"name": "a", "failed_states": ["Succeeded"]}, "failed_states: Succeeded is among"),
        ({"label_selector": "b=c", "minimum": 0}, "minimum: "),
    ],
)
def test_a_wrong_argument_of_the_sensor_is_named(given: dict[str, Any], message: str) -> None:
    with pytest.raises(BatchError, match=message):
        StarProcessingSensor(task_id="t", namespace="plato", **given)


def test_rendered_texts_become_what_they_mean() -> None:
    made = operator(
        stars='["KIC1"]',
        parameters='{"msap1": {"window": 2.5}}',
        priority="7",
        previous_campaign="",
        rerun="False",
        rerun_from="[]",
    )
    context: Any = {"ti": Task()}
    batch = made.batch(context)
    assert (batch.parameters, batch.priority, batch.previous_campaign) == ({"msap1": {"window": "2.5"}}, 7, None)
    assert made.rerun_request(context) is None


@pytest.mark.parametrize("emptied", ["", "[]", "null", None])
def test_an_emptied_list_of_steps_is_no_rerun(emptied: str | None) -> None:
    """A page sends null for a field that was emptied, and the DAGs' templates render it as JSON."""
    context: Any = {"ti": Task()}
    assert operator(rerun_from=emptied).rerun_request(context) is None


def test_a_rerun_request_is_new_after_a_clear_and_the_same_for_retries() -> None:
    """Airflow adds the tries before to `max_tries` when a task is cleared."""
    made = operator(rerun="true", rerun_from='["msap1"]', retries=2)

    def request(try_number: int, max_tries: int) -> RerunRequest:
        context: Any = {"ti": Task(try_number=try_number, max_tries=max_tries)}
        found = made.rerun_request(context)
        assert found is not None
        return found

    first = request(1, 2)
    assert first.from_steps == ("msap1",)
    assert request(2, 2) == request(3, 2) == first
    assert request(4, 5) == request(5, 5) != first, "cleared after three tries"


def test_a_slice_of_a_list_or_a_file(tmp_path: Any) -> None:
    file = tmp_path / "stars.txt"
    file.write_text("\n".join(f"KIC{number}" for number in range(5)))
    for source in ({"stars": [f"KIC{number}" for number in range(5)]}, {"stars": None, "stars_file": str(file)}):
        made = operator(**source, star_slice="[3, 9]")
        assert [star.name for star in made.stars_to_process()] == ["KIC3", "KIC4"]
        with pytest.raises(BatchError, match="star_slice: it begins at 5, and there are 5 stars"):
            operator(**source, star_slice=[5, 9]).stars_to_process()


@pytest.mark.parametrize(
    ("changes", "result", "accepted"),
    [
        ({}, BatchResult(10, 10, 0, 0), True),
        ({}, BatchResult(10, 9, 1, 0), False),
        ({"max_failed_fraction": 0.1}, BatchResult(10, 9, 1, 0), True),
        ({"max_failed_fraction": "0.1"}, BatchResult(10, 8, 2, 0), False),
        ({"max_failed_fraction": 0.1}, BatchResult(10, 8, 1, 1), False),
        ({"max_failed_fraction": 0.2}, BatchResult(10, 8, 1, 1), True),
        ({"accept_failures": True}, BatchResult(10, 0, 10, 0), True),
    ],
)
def test_how_many_failures_are_accepted(changes: dict[str, Any], result: BatchResult, accepted: bool) -> None:
    assert operator(**changes).accepted(result) is accepted


def test_the_builder_and_the_operator_agree() -> None:
    made = operator(stars=[star_spec("KIC1", priority=3), "KIC2"])
    assert [star.priority for star in made.stars_to_process()] == [3, None]
