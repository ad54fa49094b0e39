"""The spectrum that the search and the fit work on: cut to the range of interest and rebinned."""

from dataclasses import dataclass

import numpy as np

from sas_products import FloatArray, InputError, Spectrum


@dataclass(frozen=True)
class RebinnedSpectrum:
    """Density `psd` (ppm^2/uHz) at `frequency` (uHz, evenly spaced by `step`); each value is the mean of `averaged`
    independent chi-squared values with two degrees of freedom."""

    frequency: FloatArray
    psd: FloatArray
    step: float
    averaged: int


def rebin(spectrum: Spectrum, low: float, high: float, step: float) -> RebinnedSpectrum:
    """Keep `low` to `high` (uHz) and average neighbours into bins not wider than `step` (uHz).

    The input is critically sampled, as msap1 writes it. Raises `InputError` when it is not evenly spaced.
    """
    spacing = np.diff(spectrum.frequency)
    native = float(np.median(spacing))
    if np.any(np.abs(spacing - native) > 0.01 * native):
        raise InputError("IDP_SAS_AARPSD: frequency: not evenly spaced")
    kept = (spectrum.frequency >= low) & (spectrum.frequency <= high)
    frequency, psd = spectrum.frequency[kept], spectrum.psd[kept]
    averaged = max(1, int(step / native))
    n_bins = frequency.size // averaged
    shape = (n_bins, averaged)
    return RebinnedSpectrum(
        frequency=frequency[: n_bins * averaged].reshape(shape).mean(axis=1),
        psd=psd[: n_bins * averaged].reshape(shape).mean(axis=1),
        step=native * averaged,
        averaged=averaged,
    )
