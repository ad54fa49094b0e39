"""Which campaign comes before, and which asset stands for one."""

import pytest
from airflow.sdk import Asset

from plato_sas_airflow.mission.campaigns import campaign_asset, campaigns_up_to, previous_campaign


@pytest.mark.parametrize(
    ("campaign", "asked", "before"),
    [
        ("Q5", "auto", "Q4"),
        ("Q10", "auto", "Q9"),
        ("q09", "auto", "q08"),
        ("q010", "auto", "q009"),
        ("south-field-3", "auto", "south-field-2"),
        ("Q1", "auto", ""),
        ("Q0", "auto", ""),
        ("demo", "auto", ""),
        ("2027", "auto", ""),
        ("2027-Q1", "auto", ""),
        ("Q5", "none", ""),
        ("Q5", "", ""),
        ("Q5", "Q3", "Q3"),
    ],
)
def test_the_campaign_before(campaign: str, asked: str, before: str) -> None:
    assert previous_campaign(campaign, asked) == before


@pytest.mark.parametrize(
    ("campaign", "expected"),
    [("Q3", ["Q3", "Q2", "Q1"]), ("demo", ["demo"]), ("", []), ("Q12", [f"Q{number}" for number in range(12, 4, -1)])],
)
def test_campaigns_up_to_one(campaign: str, expected: list[str]) -> None:
    assert campaigns_up_to(campaign) == expected


def test_a_campaigns_asset_is_found_by_its_address() -> None:
    assert campaign_asset("Q5") == Asset("plato-sas://Q5")
    assert campaign_asset("Q5").uri.startswith("plato-sas://Q5")
