"""The stars: which file holds the light curve, and what is known of each."""

import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from astropy.io import fits
from astropy.io.fits.verify import VerifyWarning

from sas_products import StarData

CATALOGUE = "santos_2021_catalog.fit"

# The light curves' headers repeat the Kepler Input Catalogue, without uncertainties. For stars with spectra
# Mathur et al. (2017, ApJS 229, 30) take 0.15 dex for [Fe/H]; 0.10 dex for log g is a cautious choice.
_E_FEH = 0.15
_E_LOGG = 0.10


@dataclass(frozen=True)
class Star:
    """One star: `ident` in the pipeline, Kepler number, file. `literature` goes before the catalogues."""

    ident: str
    kic: int
    file_name: str
    literature: StarData


STARS = {
    star.ident: star
    for star in (
        # Spectroscopy of Buchhave & Latham (2015), as in table 1 of Lund et al. (2017).
        Star(
            "kic-6603624",
            6603624,
            "kplr006603624_52_COR_filt_inp.fits",
            StarData(
                teff_k=5674.0,
                e_teff_k=77.0,
                feh=0.28,
                e_feh=0.10,
                source="Teff, [Fe/H]: Lund et al. (2017, ApJ 835, 172)",
            ),
        ),
        Star("kic-3733735", 3733735, "003733735.fits", StarData()),
        Star("kic-8006161", 8006161, "008006161.fits", StarData()),
        Star("kic-10644253", 10644253, "010644253.fits", StarData()),
    )
}


def star_data(star: Star, folder: Path) -> StarData:
    """Literature, else the catalogue of Santos et al. (2021), else the light curve's header."""
    known = star.literature
    sources = [known.source] if known.source else []
    if (row := _catalogue_row(folder / CATALOGUE, star.kic)) is not None:
        known = _fill(known, row)
        sources.append("Teff, log g: Santos et al. (2021, ApJS 255, 17)")
    header = fits.getheader(folder / star.file_name)
    known = _fill(known, StarData(logg=float(header["LOGG"]), e_logg=_E_LOGG))
    known = _fill(known, StarData(feh=float(header["FEH"]), e_feh=_E_FEH))
    known = replace(known, radius_rsun=float(header["RADIUS"]), magnitude=float(header["KEPMAG"]))
    sources.append("other: Kepler Input Catalogue (light curve's header)")
    return replace(known, source="; ".join(sources))


def _fill(known: StarData, more: StarData) -> StarData:
    """`known` with what it lacks; a value and its uncertainty are taken together."""
    for name in ("teff_k", "logg", "feh"):
        if getattr(known, name) is None:
            known = replace(known, **{name: getattr(more, name), f"e_{name}": getattr(more, f"e_{name}")})
    return known


def _catalogue_row(path: Path, kic: int) -> StarData | None:
    """The star's row; its two-sided uncertainties are averaged."""
    with warnings.catch_warnings():
        # The file marks empty cells in a way that astropy warns of; the columns used here have none.
        warnings.simplefilter("ignore", VerifyWarning)
        table = fits.getdata(path, 1)
        rows = table[np.asarray(table["KIC"]) == kic]
    if len(rows) != 1:
        return None
    row = rows[0]
    return StarData(
        teff_k=float(row["Teff"]),
        e_teff_k=_mean(row["E_Teff"], row["e_teff_lc"]),
        logg=float(row["logg"]),
        e_logg=_mean(row["E_logg"], row["e_logg_lc"]),
    )


def _mean(upper: float, lower: float) -> float:
    return round(0.5 * (float(upper) + float(lower)), 4)
