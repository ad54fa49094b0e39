"""Prometheus' text format as samples that can be subtracted."""

import math

import pytest

from e2e.bench.measure.metrics import Samples

BEFORE = """\
# TYPE requests_total counter
requests_total{method="GET",code="200"} 3.0
requests_total{method="POST",code="201"} 1.0
# TYPE depth gauge
depth 4.0
# TYPE lag_seconds histogram
lag_seconds_bucket{le="0.1"} 1.0
lag_seconds_bucket{le="+Inf"} 2.0
lag_seconds_count 2.0
lag_seconds_sum 0.5
"""
AFTER = BEFORE.replace('code="201"} 1.0', 'code="201"} 8.0').replace('le="+Inf"} 2.0', 'le="+Inf"} 12.0')


def test_a_counter_grows_between_two_looks() -> None:
    grown = Samples.parse(AFTER).since(Samples.parse(BEFORE))
    assert {labels["method"]: value for labels, value in grown.of("requests_total")} == {"GET": 0.0, "POST": 7.0}


def test_a_counter_that_began_anew_counts_from_nothing() -> None:
    grown = Samples.parse(BEFORE).since(Samples.parse(AFTER))
    assert {labels["method"]: value for labels, value in grown.of("requests_total")}["POST"] == 1.0


def test_a_histogram_by_its_bounds() -> None:
    assert Samples.parse(AFTER).buckets("lag_seconds") == {0.1: 1.0, math.inf: 12.0}


def test_only_what_is_asked_for() -> None:
    samples = Samples.parse(BEFORE, "depth")
    assert samples.one("depth") == 4.0
    assert not list(samples.of("requests_total"))


def test_a_metric_that_is_not_there() -> None:
    samples = Samples.parse(BEFORE)
    assert samples.one("absent", 7.0) == 7.0
    with pytest.raises(KeyError, match="absent"):
        samples.one("absent")
