"""An evenly sampled light curve of the cadence that ROOSTER's training set was made with."""

import numpy as np

from sas_products import FloatArray, ScienceError

TRAINING_CADENCE_D = 29.4244 / 1440.0
"""Days; the long cadence of Kepler. The features (S_ph above all) depend on it, so finer curves are binned to it."""
SECONDS_PER_DAY = 86400.0


def resample(time: FloatArray, flux: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Average into even bins of the training cadence, or of the curve's own when that is coarser.

    `time` in days, `flux` in any unit about its mean. Empty bins get 0, which star-privateer reads as a gap. Raises
    `ScienceError` when fewer than half the bins hold a sample.
    """
    own = float(np.median(np.diff(time)))
    # 0.95: a nominally equal cadence must not be split into bins that are empty in turn.
    width = max(TRAINING_CADENCE_D, own) if own < 0.95 * TRAINING_CADENCE_D else own
    index = np.rint((time - time[0]) / width).astype(np.int64)
    n_bins = int(index[-1]) + 1
    counts = np.bincount(index, minlength=n_bins)
    filled = counts > 0
    if filled.mean() < 0.5:
        raise ScienceError(
            f"IDP_SAS_VARLC_BINNED: time: {100 * filled.mean():.0f} % of the span has samples, 50 % are needed"
        )
    binned = np.bincount(index, weights=flux, minlength=n_bins) / np.maximum(counts, 1)
    binned[filled] -= binned[filled].mean()
    return time[0] + width * np.arange(n_bins), binned
