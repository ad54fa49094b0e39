"""Differences of RFC 3339 timestamps."""

from plato_sas.api import parse_time


def seconds_between(earlier: str, later: str) -> float:
    """Seconds from one timestamp to another."""
    return (parse_time(later) - parse_time(earlier)).total_seconds()
