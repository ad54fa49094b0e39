"""Which stars are processed again, and with what."""

from typing import Any

import pytest

from plato_sas_airflow.errors import BatchError
from plato_sas_airflow.mission.reprocessing import Present, batches, chosen, groups, in_states


def resource(star: str, state: str = "Failed", failed_step: str = "msap3-03", **spec: Any) -> dict[str, Any]:
    return {
        "metadata": {"name": star, "generation": 2},
        "spec": {"star": star, "campaign": "Q5", "pipeline": "sas-demo", **spec},
        "status": {
            "state": state,
            "observedGeneration": 2,
            "steps": [
                {"name": "msap1", "state": "Succeeded"},
                {"name": failed_step, "state": "Failed" if state == "Failed" else "Succeeded"},
            ],
        },
    }


def present(*resources: dict[str, Any]) -> list[Present]:
    return [Present.of(one) for one in resources]


def test_failed_stars_of_the_pipeline_are_found_and_the_others_counted() -> None:
    found = in_states(
        present(
            resource("a"),
            resource("b", "Succeeded"),
            resource("c", failed_step="msap1"),
            resource("d", pipeline="sas-baseline"),
            resource("e", "Running"),
        ),
        "sas-demo",
        ["Failed"],
    )
    assert [one.star for one in found.resources] == ["a", "c"]
    assert found.text() == "2 stars to process again; left alone: 1 Succeeded, 1 of other pipelines, 1 under way"


def test_a_failed_step_narrows_them() -> None:
    known = present(resource("a"), resource("c", failed_step="msap1"))
    assert [one.star for one in in_states(known, "sas-demo", ["Failed"], ["msap1"]).resources] == ["c"]


def test_a_final_state_of_an_older_spec_is_under_way() -> None:
    stale = resource("a")
    stale["metadata"]["generation"] = 3
    assert present(stale)[0].state == "under way"


def test_chosen_stars_may_have_no_resource_any_more() -> None:
    found = chosen(present(resource("a", "Succeeded"), resource("b")), "sas-demo", ["a", "gone", "a"])
    assert [one.star for one in found.resources] == ["a"]
    assert found.others == ["gone"]


def test_a_chosen_star_that_is_under_way_is_named() -> None:
    with pytest.raises(BatchError, match="stars: e is under way; d is of pipeline sas-baseline"):
        chosen(present(resource("e", "Running"), resource("d", pipeline="sas-baseline")), "sas-demo", ["e", "d"])


def test_stars_keep_what_they_were_processed_with_and_changes_are_laid_over() -> None:
    selection = in_states(
        present(
            resource("a", parameters={"msap1": {"window": "3"}, "msap3-03": {"snr_min": "4"}}, previousCampaign="Q4"),
            resource("b", parameters={"msap3-03": {"snr_min": "4"}, "msap1": {"window": "3"}}, previousCampaign="Q4"),
            resource("c", priority=7, ttl="2d"),
            resource("d", inputs={"DP1_LC_MERGED": {"path": "d.h5"}}, priority=7, ttl="2d"),
        ),
        "sas-demo",
        ["Failed"],
    )
    found = groups(selection, {"msap3-03": {"snr_min": "5"}}, "")
    assert [(dict(one.arguments), list(one.stars), list(one.specs)) for one in found] == [
        (
            {"previous_campaign": "Q4", "parameters": {"msap1": {"window": "3"}, "msap3-03": {"snr_min": "5"}}},
            ["a", "b"],
            [],
        ),
        ({"priority": 7, "star_ttl": "2d", "parameters": {"msap3-03": {"snr_min": "5"}}}, ["c"], []),
        (
            {"priority": 7, "star_ttl": "2d", "parameters": {"msap3-03": {"snr_min": "5"}}},
            [],
            [{"star": "d", "inputs": {"DP1_LC_MERGED": {"path": "d.h5"}}}],
        ),
    ]


def test_stars_without_a_resource_begin_with_the_forms_campaign_before() -> None:
    found = groups(chosen([], "sas-demo", ["a"]), {"msap1": {"window": "3"}}, "Q4")
    assert [(dict(one.arguments), list(one.stars)) for one in found] == [
        ({"parameters": {"msap1": {"window": "3"}}, "previous_campaign": "Q4"}, ["a"])
    ]


def test_groups_are_cut_into_batches() -> None:
    selection = in_states(present(*(resource(f"s{number}") for number in range(5))), "sas-demo", ["Failed"])
    made = batches(groups(selection, {}, ""), 2, 10)
    assert [list(group.stars) for group, _ in made] == [["s0", "s1"], ["s2", "s3"], ["s4"]]
    assert [batch.name for _, batch in made] == ["0001-stars-0", "0002-stars-0", "0003-stars-0"]
    with pytest.raises(BatchError, match="3 batches of at most 2 stars, and max_batches is 2"):
        batches(groups(selection, {}, ""), 2, 2)
