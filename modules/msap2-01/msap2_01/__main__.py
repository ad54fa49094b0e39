"""Read nu_max, Teff and the flicker gravity, choose, write the product."""

import sys

from astropy import units as u

from msap2_01 import NAME, VERSION
from msap2_01.gravity import Gravity, seismic_gravity, select_gravity
from sas_products import InputError, Scalar, Step, run

NU_MAX, FLICKER = "DP3_SAS_NU_MAX", "IDP_SAS_LOGG_FLIPER"


def main(step: Step) -> None:
    """Run the module once. Raises `InputError` when there is nothing to choose from."""
    seismic = read_seismic(step) if step.input(NU_MAX) else None
    flicker = read_flicker(step) if step.input(FLICKER) else None
    chosen = select_gravity(seismic, flicker)
    if chosen is None:
        raise InputError(f"{NU_MAX}, {FLICKER}: both are absent, and one is needed")
    if flicker is not None and seismic is not None:
        print(f"{NAME}: seismic log g {seismic.value:.3f}, from flicker {flicker.value:.3f}")
    print(f"{NAME}: log g {chosen.value:.3f} ({chosen.source})")
    scalar = Scalar(chosen.value, "dex", chosen.uncertainty)
    step.write_scalars("IDP_SAS_LOGG_SAPP_TMP", scalar, source=chosen.source, quantity="log10(g / (cm/s2))")
    step.write_facts({"logg": chosen.value, "logg_source": chosen.source})


def read_seismic(step: Step) -> Gravity:
    """The gravity from nu_max and Teff. Raises `InputError`."""
    nu_max, star = step.read_scalar(NU_MAX), step.read_star_data()
    if nu_max.unit != "uHz" or nu_max.value <= 0:
        raise InputError(
            f"{NU_MAX}: value: expected a positive frequency in uHz, found {nu_max.value!r} {nu_max.unit!r}"
        )
    if star.teff_k is None:
        raise InputError("PFU_STAR_DATA: teff_k: needed for the seismic gravity, and absent")
    e_nu_max = None if nu_max.uncertainty is None else nu_max.uncertainty * u.uHz
    e_teff = None if star.e_teff_k is None else star.e_teff_k * u.K
    return seismic_gravity(nu_max.value * u.uHz, e_nu_max, star.teff_k * u.K, e_teff)


def read_flicker(step: Step) -> Gravity:
    """The gravity from flicker. Raises `InputError`."""
    scalar = step.read_scalar(FLICKER)
    if scalar.unit != "dex":
        raise InputError(f"{FLICKER}: value: expected the unit dex, found {scalar.unit!r}")
    return Gravity(scalar.value, scalar.uncertainty, "flicker")


if __name__ == "__main__":
    sys.exit(run(main, module=NAME, version=VERSION))
