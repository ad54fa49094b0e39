"""Read the seismic and classical parameters, apply the relations, write the products."""

import sys
from typing import cast, get_args

from uncertainties import UFloat, ufloat

from msap5_12 import NAME, VERSION
from msap5_12.relations import AGE, MASS, RADIUS, Observables, RelationName, age_gyr
from sas_products import InputError, ParameterError, Scalar, ScienceError, StarData, Step, run

DEFAULT_E_TEFF_K, DEFAULT_E_FEH = 100.0, 0.15
"""For classical parameters without an uncertainty: typical of spectroscopy and photometry together."""
SMALL_SEPARATION = "IDP_SAS_DELTA_NU_02"
IN_INPUTS = {"small_separation": SMALL_SEPARATION, "feh": "PFU_STAR_DATA: feh"}


def main(step: Step) -> None:
    """Run the module once. Raises `InputError`, `ScienceError` or `ParameterError`."""
    name = step.string("relation")
    if name not in get_args(RelationName):
        raise ParameterError(
            f"params.json: relation: expected one of {', '.join(get_args(RelationName))}, found {name!r}"
        )
    relation = cast(RelationName, name)
    star = read_observables(step)
    if absent := MASS[relation].missing(star):
        names = ", ".join(IN_INPUTS[item] for item in absent)
        raise ScienceError(f"{names}: absent, and the relation {relation} needs it")
    mass, radius = MASS[relation].evaluate(star), RADIUS[relation].evaluate(star)
    print(f"{NAME}: mass {mass:.3f} Msun, radius {radius:.3f} Rsun ({relation})")
    step.write_scalars("IDP_SAS_MASS_SCALING_ONLY", scalar(mass, "Msun"), relation=relation)
    step.write_scalars("IDP_SAS_RADIUS_SCALING_ONLY", scalar(radius, "Rsun"), relation=relation)
    facts = {"mass": mass.nominal_value, "radius": radius.nominal_value}
    if absent := AGE.missing(star):
        print(f"{NAME}: no age: {', '.join(IN_INPUTS[item] for item in absent)} absent")
    else:
        age = age_gyr(star)
        print(f"{NAME}: age {age:.2f} Gyr (bellinger2019)")
        step.write_scalars("IDP_SAS_AGE_SCALING_ONLY", scalar(age, "Gyr"), relation="bellinger2019", extension=True)
        facts["age"] = age.nominal_value
    step.write_facts(facts)


def read_observables(step: Step) -> Observables:
    """The inputs as values with uncertainties. Raises `InputError`."""
    star = step.read_star_data()
    if star.teff_k is None:
        raise InputError("PFU_STAR_DATA: teff_k: absent, and the relations need it")
    return Observables(
        nu_max=frequency(step, "DP3_SAS_NU_MAX"),
        delta_nu=frequency(step, "DP3_SAS_DELTA_NU_AV"),
        teff=ufloat(star.teff_k, DEFAULT_E_TEFF_K if star.e_teff_k is None else star.e_teff_k),
        small_separation=frequency(step, SMALL_SEPARATION) if step.input(SMALL_SEPARATION) else None,
        feh=metallicity(star),
    )


def metallicity(star: StarData) -> UFloat | None:
    """[Fe/H] with its uncertainty, None when unknown."""
    if star.feh is None:
        return None
    return ufloat(star.feh, DEFAULT_E_FEH if star.e_feh is None else star.e_feh)


def frequency(step: Step, ident: str) -> UFloat:
    """A frequency product; one without an uncertainty counts as exact. Raises `InputError`."""
    product = step.read_scalar(ident)
    if product.unit != "uHz" or product.value <= 0:
        raise InputError(
            f"{ident}: value: expected a positive frequency in uHz, found {product.value!r} {product.unit!r}"
        )
    return ufloat(product.value, product.uncertainty or 0.0)


def scalar(value: UFloat, unit: str) -> Scalar:
    """As a product."""
    return Scalar(float(value.nominal_value), unit, float(value.std_dev))


if __name__ == "__main__":
    sys.exit(run(main, module=NAME, version=VERSION))
