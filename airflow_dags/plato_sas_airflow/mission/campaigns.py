"""Campaigns: which one comes before, and the asset that tells that one is done. Pure."""

import re

from airflow.sdk import Asset, AssetAlias

CAMPAIGNS = "plato-sas-campaigns"
"""Name of the asset alias to which every campaign's asset belongs."""
AUTOMATIC, NONE = "auto", "none"
_NUMBERED = re.compile(r"(?P<word>[A-Za-z_-]*[A-Za-z_-])(?P<number>[0-9]+)", re.ASCII)


def campaign_asset(campaign: str) -> Asset:
    """`plato-sas://<campaign>`: it is updated when a quarter's stars and catalogue are done."""
    return Asset(f"plato-sas://{campaign}")


def all_campaigns() -> AssetAlias:
    """Stands for the assets of all campaigns, for DAGs that follow any of them."""
    return AssetAlias(CAMPAIGNS)


def previous_campaign(campaign: str, asked: str) -> str:
    """The campaign whose products a campaign reads; empty for none.

    :param asked: its name; or `none`; or `auto`: Q4 for Q5, q09 for q10; none for the first, and for a campaign that is
        not a word and a number.
    """
    if asked in ("", NONE):
        return ""
    if asked != AUTOMATIC:
        return asked
    found = _NUMBERED.fullmatch(campaign)
    if found is None or int(found["number"]) <= 1:
        return ""
    return f"{found['word']}{int(found['number']) - 1:0{_width(found['number'])}d}"


def campaigns_up_to(campaign: str, most: int = 8) -> list[str]:
    """A campaign and the ones before it, the latest first, at most `most`; empty for an empty name."""
    found: list[str] = []
    while campaign and len(found) < most:
        found.append(campaign)
        campaign = previous_campaign(campaign, AUTOMATIC)
    return found


def _width(number: str) -> int:
    """Of a number with leading zeros, its digits."""
    return len(number) if number.startswith("0") else 1
