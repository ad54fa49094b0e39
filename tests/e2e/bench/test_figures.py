"""Percentiles, rates, histograms: known answers."""

import math

import pytest

from e2e.bench.measure.figures import histogram_quantile, percentile, rate_between, rate_by_batch


@pytest.mark.parametrize(("share", "expected"), [(0, 1), (0.5, 2), (0.51, 3), (0.75, 3), (1, 4)])
def test_a_percentile_is_a_value_that_was_seen(share: float, expected: float) -> None:
    assert percentile([4, 1, 3, 2], share) == expected


def test_there_is_no_percentile_of_nothing() -> None:
    with pytest.raises(ValueError, match="no values"):
        percentile([], 0.5)


def test_an_even_flow_has_the_same_rate_in_every_batch() -> None:
    times = [number * 0.5 for number in range(30)]
    assert rate_by_batch(times, 10) == pytest.approx([2.0, 2.0, 2.0])


def test_a_batch_counts_from_the_last_event_of_the_one_before() -> None:
    # Ten in a second, a pause of ten seconds, ten in a second: the pause belongs to the second batch.
    times = [0.1 * number for number in range(10)] + [11 + 0.1 * number for number in range(10)]
    first, second = rate_by_batch(times, 10)
    assert first == pytest.approx(10)
    assert second == pytest.approx(10 / 11)


def test_a_batch_that_is_not_full_does_not_count() -> None:
    assert len(rate_by_batch([0, 1, 2, 3, 4], 2)) == 2


def test_a_batch_of_one_has_no_rate() -> None:
    with pytest.raises(ValueError, match="batch"):
        rate_by_batch([1, 2, 3], 1)


def test_the_rate_of_a_part() -> None:
    times = [float(number) for number in range(11)] + [10 + 0.1 * number for number in range(1, 11)]
    assert rate_between(times, 0, 0.5) == pytest.approx(1)
    assert rate_between(times, 0.5, 1) == pytest.approx(10)


def test_too_few_events_have_no_rate() -> None:
    with pytest.raises(ValueError, match="too few"):
        rate_between([1.0], 0, 1)


def test_a_quantile_is_the_bound_of_its_bucket() -> None:
    before = {0.1: 5.0, 1.0: 5.0, math.inf: 5.0}
    after = {0.1: 5.0 + 98, 1.0: 5.0 + 99, math.inf: 5.0 + 100}
    assert histogram_quantile(0.98, before, after) == 0.1
    assert histogram_quantile(0.99, before, after) == 1.0
    assert histogram_quantile(1, before, after) == math.inf


def test_a_histogram_that_saw_nothing_has_no_quantile() -> None:
    with pytest.raises(ValueError, match="nothing was observed"):
        histogram_quantile(0.5, {math.inf: 3.0}, {math.inf: 3.0})
