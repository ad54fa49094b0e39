"""Pure: percentiles, rates, and what a histogram of Prometheus says between two looks."""

import math
from collections.abc import Mapping, Sequence


def percentile(values: Sequence[float], share: float) -> float:
    """The least value that at least `share` (0 to 1) of the values do not exceed. Raises ValueError for no values."""
    if not values:
        raise ValueError("no values")
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def rate_by_batch(times: Sequence[float], batch: int) -> list[float]:
    """Events per second of each full batch of `batch` events, from the last event before it to its own last.

    The first batch counts from the first event, and so over `batch - 1` intervals.
    """
    if batch < 2:
        raise ValueError("batch: at least 2 events make a rate")
    ordered = sorted(times)
    rates = []
    for end in range(batch, len(ordered) + 1, batch):
        begin = max(0, end - batch - 1)
        seconds = ordered[end - 1] - ordered[begin]
        rates.append((end - 1 - begin) / seconds if seconds > 0 else math.inf)
    return rates


def rate_between(times: Sequence[float], first: float, last: float) -> float:
    """Events per second between the shares `first` and `last` (0 to 1) of all events. Raises ValueError if too few."""
    ordered = sorted(times)
    begin, end = int(first * (len(ordered) - 1)), int(last * (len(ordered) - 1))
    if end <= begin:
        raise ValueError(f"{len(ordered)} events are too few for a rate between {first:g} and {last:g}")
    seconds = ordered[end] - ordered[begin]
    return (end - begin) / seconds if seconds > 0 else math.inf


def histogram_quantile(share: float, before: Mapping[float, float], after: Mapping[float, float]) -> float:
    """An upper bound of the quantile of what was observed between two looks at a cumulative histogram.

    `before`, `after`: counts by the bucket's upper bound (`le`). Returns the bound of the bucket that holds the
    quantile, not an interpolation within it: it is never below the true value. Raises ValueError if nothing was seen.
    """
    total = after[math.inf] - before.get(math.inf, 0.0)
    if total <= 0:
        raise ValueError("nothing was observed")
    for bound in sorted(after):
        if after[bound] - before.get(bound, 0.0) >= share * total:
            return bound
    raise ValueError("the counts of the buckets do not grow with their bounds")
