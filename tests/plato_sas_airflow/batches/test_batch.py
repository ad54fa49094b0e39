"""Names, labels and validation of a batch."""

import json
import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from plato_sas_airflow.batches.batch import Batch, batch_id, resource_name
from plato_sas_airflow.errors import BatchError
from plato_sas_airflow.stars.star import Star

PATH_NAME = st.from_regex(r"[A-Za-z0-9]([A-Za-z0-9_-]{0,46}[A-Za-z0-9])?", fullmatch=True)


def batch(*stars: str | Star, **changes: Any) -> Batch:
    given_: dict[str, Any] = {"id": "b", "namespace": "plato", "campaign": "Q1", "pipeline": "sas-demo", **changes}
    return Batch(stars=[Star(one) if isinstance(one, str) else one for one in stars], **given_)


@pytest.mark.parametrize(
    ("star", "campaign", "name"),
    [("KIC6603624", "Q1", "kic6603624-q1"), ("12", "2026-Q1", "12-2026-q1"), ("a", "b", "a-b")],
)
def test_plain_names_are_star_and_campaign(star: str, campaign: str, name: str) -> None:
    assert resource_name(star, campaign) == name


@given(PATH_NAME, PATH_NAME)
def test_names_are_dns_labels_short_enough_for_what_is_named_after_them(star: str, campaign: str) -> None:
    name = resource_name(star, campaign)
    assert re.fullmatch(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?", name)
    assert len(name) <= 52
    assert name == resource_name(star, campaign)


@given(st.tuples(PATH_NAME, PATH_NAME), st.tuples(PATH_NAME, PATH_NAME))
def test_two_stars_share_a_name_only_if_they_differ_in_case(one: tuple[str, str], other: tuple[str, str]) -> None:
    if resource_name(*one) == resource_name(*other):
        assert [part.lower() for part in one] == [part.lower() for part in other]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (("a-b", "c"), ("a", "b-c")),
        (("a_b", "c"), ("a-b", "c")),
        (("s" * 48, "x" * 48), ("s" * 48, "x" * 47 + "y")),
    ],
)
def test_look_alikes_get_different_names(one: tuple[str, str], other: tuple[str, str]) -> None:
    assert resource_name(*one) != resource_name(*other)


def test_batch_id_is_a_label_value_and_differs_by_every_part() -> None:
    parts = [
        ("dag", "run", "task", -1),
        ("dag2", "run", "task", -1),
        ("dag", "run2", "task", -1),
        ("dag", "run", "task2", -1),
        ("dag", "run", "task", 0),
        ("-" * 60, "run", "task", -1),
        ("d" * 250, "manual__2026-01-01T00:00:00+00:00", "group.task", 12),
    ]
    ids = [batch_id(*part) for part in parts]
    assert len(set(ids)) == len(ids)
    for one in ids:
        assert re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?", one)


def test_a_bad_star_is_named_with_its_field() -> None:
    with pytest.raises(BatchError, match=r"star '\.\./\.\./etc': star: "):
        batch("KIC1", "../../etc").resources()


def test_a_bad_parameter_is_named() -> None:
    with pytest.raises(BatchError, match="priority"):
        batch("KIC1", priority=5000).resources()


def test_stars_that_differ_in_case_alone_are_refused() -> None:
    with pytest.raises(BatchError, match="'KIC1' and 'kic1'"):
        batch("KIC1", "kic1").resources()


def test_a_resource_says_star_batch_and_claim() -> None:
    made = batch("KIC1", parameters={"msap1": {"window": "3.5"}}, try_number=2).resources()["kic1-q1"]
    assert made["metadata"]["labels"] == {
        "plato-sas.io/batch": "b",
        "plato-sas.io/star": "KIC1",
        "plato-sas.io/campaign": "Q1",
    }
    assert made["metadata"]["annotations"]["plato-sas.io/claim"] == "b/2"
    assert made["spec"] == {
        "star": "KIC1",
        "campaign": "Q1",
        "pipeline": "sas-demo",
        "parameters": {"msap1": {"window": "3.5"}},
        "desiredState": "Run",
    }


def test_a_stars_own_fields_go_before_the_batchs() -> None:
    star = Star("KIC1", {"msap1": {"window": "5"}}, {"DP1_LC_MERGED": {"path": "x/KIC1.h5"}}, priority=7)
    common = {"msap1": {"window": "3.5", "gaps": 2}, "msap3-03": {"mc_samples": 100}}
    made = batch(
        star, "KIC2", parameters=common, priority=1, previous_campaign="Q0", stages="PerStep", deadline="6h", ttl="7d"
    ).resources()
    spec = made["kic1-q1"]["spec"]
    assert spec == {
        "star": "KIC1",
        "campaign": "Q1",
        "pipeline": "sas-demo",
        "parameters": {"msap1": {"window": "5", "gaps": 2}, "msap3-03": {"mc_samples": 100}},
        "inputs": {"DP1_LC_MERGED": {"path": "x/KIC1.h5"}},
        "previousCampaign": "Q0",
        "stages": "PerStep",
        "priority": 7,
        "deadline": "6h",
        "ttl": "7d",
        "desiredState": "Run",
    }
    assert made["kic2-q1"]["spec"]["parameters"] == common
    assert made["kic2-q1"]["spec"]["priority"] == 1


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"previous_campaign": "Q1"}, "previousCampaign: must be another"),
        ({"stages": "Half"}, "stages"),
        ({"deadline": "6 hours"}, "deadline"),
        ({"parameters": {"MSAP1": {"x": 1}}}, "parameters.MSAP1"),
    ],
)
def test_a_bad_field_of_the_batch_is_named(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(BatchError, match=message):
        batch("KIC1", **changes).resources()


@pytest.mark.parametrize(
    "one",
    [
        batch("KIC1", "KIC2"),
        batch(Star("KIC1", {"msap1": {"window": "5"}}, {}, -3), "KIC2", parameters={"a": {"b": 1}}, priority=4),
        batch("KIC1", previous_campaign="Q0", stages="Fused", deadline="6h", ttl="7d", try_number=3, origin="d/r/t"),
    ],
)
def test_a_batch_comes_back_the_same_from_json(one: Batch) -> None:
    assert Batch.deserialize(json.loads(json.dumps(one.serialize()))) == one


def test_a_large_batch_is_little_more_than_its_names() -> None:
    stars = [f"PIC{number:09d}" for number in range(1000)]
    assert len(json.dumps(batch(*stars).serialize())) < 20_000
