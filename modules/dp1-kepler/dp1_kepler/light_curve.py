"""From the packages' FITS files to the Level-1 layout."""

from pathlib import Path

import numpy as np
from astropy.io import fits

from sas_products import PPM, InputError, Series

# Kepler's origin of time is BJD 2454833.0. The files have BJD - 2400000; one has days from its first sample.
_KEPLER_ORIGIN = 54833.0
_QUARTER_D = 90.0
_MISSING = 0


def read_light_curve(path: Path) -> Series:
    """The observed and inpainted samples of a KADACS light curve, as relative flux about 1.

    The primary array has time (days) and flux (ppm); the image after it tells for each sample whether it is
    missing (0), observed (1) or inpainted (2). Missing ones are left out. Raises `InputError`.
    """
    with fits.open(path) as file:
        data = np.asarray(file[0].data, np.float64)
        state = np.asarray(file[1].data)
    if data.ndim != 2 or data.shape[1] != 2 or state.shape != data.shape[:1]:
        raise InputError(f"{path.name}: unexpected shapes {data.shape} and {state.shape}")
    there = (state != _MISSING) & np.isfinite(data).all(axis=1)
    time, flux = data[there].T
    if time[0] > _KEPLER_ORIGIN:
        time = time - _KEPLER_ORIGIN
    # The mission's quarters, of the length PLATO's have: the files do not keep Kepler's own.
    quarter = ((time - time[0]) // _QUARTER_D).astype(np.int32) + 1
    return Series(time, 1.0 + flux / PPM, quarter)
