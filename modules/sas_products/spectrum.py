"""Power spectral densities."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from sas_products.arrays import FloatArray, check_finite, check_increasing, check_same_length
from sas_products.errors import InputError
from sas_products.product import AttributeValue, Column, open_product, write_product


@dataclass(frozen=True)
class Spectrum:
    """A one-sided power spectral density of n frequencies: `frequency` in uHz, `psd` in ppm^2/uHz.

    One-sided: the sum of psd times the frequency step is the light curve's variance.
    """

    frequency: FloatArray
    psd: FloatArray


def read_spectrum(path: Path, ident: str) -> Spectrum:
    """Read a spectrum: frequencies increase from 0 or above, density finite, not negative.

    Raises `InputError`.
    """
    with open_product(path, ident) as group:
        frequency, psd = group.array("frequency"), group.array("psd")
        where = group.where
    check_same_length(where, {"frequency": frequency, "psd": psd})
    check_increasing(f"{where}/frequency", frequency)
    check_finite(f"{where}/psd", psd)
    if frequency[0] < 0:
        raise InputError(f"{where}/frequency: negative frequencies")
    if np.any(psd < 0):
        raise InputError(f"{where}/psd: negative values")
    return Spectrum(frequency, psd)


def write_spectrum(path: Path, ident: str, spectrum: Spectrum, attributes: Mapping[str, AttributeValue]) -> None:
    """Write a spectrum."""
    content = {"frequency": Column(spectrum.frequency, "uHz"), "psd": Column(spectrum.psd, "ppm^2/uHz")}
    write_product(path, ident, content, attributes)
