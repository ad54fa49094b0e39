"""How well the repeats of a period in the autocorrelation agree."""

import numpy as np
from scipy.signal import find_peaks

from sas_products import FloatArray


def repeat_uncertainty(lag: FloatArray, autocorrelation: FloatArray, period: float) -> float | None:
    """1-sigma uncertainty (days) of a period from the autocorrelation: the scatter of its repeats.

    The peaks nearest to k periods, k = 1 to 4, give four estimates lag / k (after McQuillan et al. 2013, MNRAS 432,
    1203). None with fewer than three of them.
    """
    peaks = lag[find_peaks(autocorrelation)[0]]
    estimates: list[float] = []
    for k in range(1, 5):
        near = peaks[np.abs(peaks - k * period) < 0.3 * period]
        if near.size:
            estimates.append(float(near[np.argmin(np.abs(near - k * period))]) / k)
    if len(estimates) < 3:
        return None
    return float(1.4826 * np.median(np.abs(np.array(estimates) - np.median(estimates))))
