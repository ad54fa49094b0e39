"""Campaigns: the one before, and the asset that announces a finished one. Pure."""

import re

from airflow.sdk import Asset, AssetAlias

CAMPAIGNS = "plato-sas-campaigns"
"""Name of the asset alias of every campaign's asset."""
AUTOMATIC, NONE = "auto", "none"
_NUMBERED = re.compile(r"(?P<word>[A-Za-z_-]*[A-Za-z_-])(?P<number>[0-9]+)", re.ASCII)


def campaign_asset(campaign: str) -> Asset:
    """`plato-sas://<campaign>`: updated when a quarter's stars and catalogue are finished."""
    return Asset(f"plato-sas://{campaign}")


def all_campaigns() -> AssetAlias:
    """The alias of all campaigns' assets, for DAGs that follow any of them."""
    return AssetAlias(CAMPAIGNS)


def previous_campaign(campaign: str, asked: str) -> str:
    """The campaign whose products a campaign reads; empty for none.

    :param asked: its name; or `none`; or `auto`: Q4 for Q5, q09 for q10; none for the first campaign, and for one that
        is not a word followed by a number.
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
    """The number of digits to write: all of them if there are leading zeros, else as few as possible."""
    return len(number) if number.startswith("0") else 1
