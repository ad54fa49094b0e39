"""Taking out the transits with the exoplanet system's removal kit."""

from dataclasses import replace
from pathlib import Path

import numpy as np

from sas_products import InputError, Series, open_product

IDENT = "IDP_EAS_TRANSIT_REMOVAL_KIT"
FLAG = "IDP_EAS_QC_TARGET_TCE_DETECTION"


def has_transits(flag: Path) -> bool:
    """What the exoplanet system says of the star. Raises `InputError`."""
    with open_product(flag, FLAG) as group:
        return bool(group.number("flag"))


def remove_transits(series: Series, kit: Path) -> Series:
    """Divide the Level-1 flux by the kit's relative flux, sample by sample. Raises `InputError`."""
    with open_product(kit, IDENT) as group:
        curve = group.subgroup("Relative_flux_curve")
        relative, where = curve.array("flux"), f"{curve.where}/flux"
    if relative.shape != series.flux.shape:
        raise InputError(f"{where}: shape {relative.shape}, DP1_LC_MERGED has {series.flux.shape}")
    if not (np.isfinite(relative).all() and (relative > 0).all()):
        raise InputError(f"{where}: expected finite positive values")
    return replace(series, flux=series.flux / relative)
