"""What is true of the simulated star."""

import json
from pathlib import Path

import numpy as np

from dp1_psls.simulation import ROTATION_D, TEFF_K, TRANSIT_D, Simulation
from sas_products import FloatArray

# A tenth of the highest mode's height: what a 90-day spectrum can show.
_VISIBLE = 0.1


def truth(simulation: Simulation, seed: int) -> dict[str, object]:
    """The parameters that went into the simulation, and the modes that can be seen."""
    known, modes = simulation.attributes, simulation.modes
    visible = modes[modes[:, 5] > _VISIBLE * modes[:, 5].max()]
    return {
        "nu_max_uhz": known["numax"],
        "delta_nu_uhz": round(large_separation(visible), 3),
        "delta_nu_model_uhz": known["deltanu"],
        "mass_msun": known["mass"],
        "radius_rsun": known["radius"],
        "logg": known["logg"],
        "teff_k": TEFF_K,
        "rotation_period_d": ROTATION_D,
        "transit_period_d": TRANSIT_D,
        "seed": seed,
        "modes": [
            {"n": int(n), "l": int(degree), "m": int(m), "frequency_uhz": round(float(frequency), 4)}
            for n, degree, m, frequency in visible[:, :4]
        ],
    }


def large_separation(modes: FloatArray) -> float:
    """Slope of the radial modes' frequencies (uHz) against their order, weighted by their heights."""
    radial = modes[modes[:, 1] == 0]
    slope, _ = np.polyfit(radial[:, 0], radial[:, 3], 1, w=np.sqrt(radial[:, 5]))
    return float(slope)


def write_truth(path: Path, document: dict[str, object]) -> None:
    """Write ``TRUTH.json``."""
    path.write_text(json.dumps(document, indent=1) + "\n")
