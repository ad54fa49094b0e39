"""Running PSLS, as a program of its own, on one configured star."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import yaml

from sas_products import Column, FloatArray, ScienceError, Series

SEED = 20240001
STAR_NUMBER = 1
DURATION_D = 90.0
ROTATION_D = 12.0
TRANSIT_D = 10.0
MAGNITUDE = 8.5
TEFF_K = 5750.0
_TIMEOUT_S = 600


@dataclass(frozen=True)
class Simulation:
    """What PSLS made: the merged light curve, the transit kit's flux, all parameters, and the modes.

    `modes` has the columns n, l, m, frequency (uHz), width (uHz) and height (ppm^2/uHz).
    """

    series: Series
    transits: FloatArray
    attributes: dict[str, float]
    modes: FloatArray


def configuration(psls: Path, seed: int) -> dict[str, object]:
    """PSLS's own example with the star, the spots and the planet of this simulation.

    The star is the model of 16 Cyg B that comes with PSLS. Spots turn with the star and make its rotation visible;
    PSLS does not want them together with its stochastic activity.
    """
    config: dict[str, dict[str, object]] = yaml.safe_load((psls / "psls.yaml").read_text())
    config["Observation"].update(QuarterDuration=[DURATION_D], MasterSeed=seed)
    table = psls / "systematics" / "PLATO_systematics_BOL_P1_V2.npy"
    _part(config, "Instrument", "Systematics").update(Table=str(table))
    config["Star"].update(
        Mag=MAGNITUDE,
        ID=STAR_NUMBER,
        Teff=TEFF_K,
        ModelDir=str(psls / "models"),
        SurfaceRotationPeriod=ROTATION_D,
        Inclination=70.0,
    )
    config["Activity"].update(Enable=0)
    _part(config, "Activity", "Spot").update(Enable=1)
    config["Transit"].update(Enable=1, PlanetRadius=0.35, OrbitalPeriod=TRANSIT_D, PlanetSemiMajorAxis=0.092)
    return dict(config)


def _part(config: dict[str, dict[str, object]], group: str, name: str) -> dict[str, object]:
    part = config[group][name]
    if not isinstance(part, dict):
        raise ScienceError(f"psls.yaml: {group}.{name}: expected a mapping")
    return part


def simulate(psls: Path, seed: int, folder: Path) -> Simulation:
    """Run PSLS in `folder` (some 250 MB, about 20 s, 1.3 GB of memory). Raises `ScienceError`."""
    config = folder / "psls.yaml"
    config.write_text(yaml.safe_dump(configuration(psls, seed)))
    command = [sys.executable, "-c", "import psls; psls.main()"]
    try:
        done = subprocess.run(
            [*command, "-o", str(folder), "--proto-sas", str(config)],
            cwd=folder,
            env={**os.environ, "PYTHONPATH": str(psls), "MPLBACKEND": "Agg"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=_TIMEOUT_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ScienceError(f"psls: no end after {_TIMEOUT_S} s") from None
    if done.returncode != 0:
        last = (done.stderr.strip() or done.stdout.strip() or "no output").splitlines()[-1]
        raise ScienceError(f"psls: exit code {done.returncode}: {last}")
    stem = folder / f"{STAR_NUMBER:010d}"
    return _read(stem.with_suffix(".hdf5"), stem.with_suffix(".modes"))


def _read(file_name: Path, modes: Path) -> Simulation:
    with h5py.File(file_name) as file:
        external = file["EXTERNALS"]
        curve = external["DP1_LC_MERGED"]
        series = Series(curve["time"][:], curve["flux"][:], curve["quarter"][:].astype(np.int32))
        transits = external["IDP_EAS_TRANSIT_REMOVAL_KIT/Relative_flux_curve/flux"][:]
        numbers = {name: float(value) for name, value in file.attrs.items() if isinstance(value, np.number | float)}
    return Simulation(series, transits, numbers, np.loadtxt(modes)[:, :6])


def transit_kit(simulation: Simulation) -> dict[str, Column | dict[str, Column]]:
    """The datasets of ``IDP_EAS_TRANSIT_REMOVAL_KIT``."""
    return {
        "Relative_flux_curve": {"flux": Column(simulation.transits, "1")},
        "TCE": {"Period": Column(np.array([TRANSIT_D]), "d")},
    }
