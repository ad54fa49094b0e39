"""The simulated star: its configuration, the truth about it, and PSLS's failures."""

from pathlib import Path

import numpy as np
import pytest
import yaml

from dp1_psls.simulation import configuration, simulate
from dp1_psls.truth import large_separation
from sas_products import ScienceError

CONFIG = {
    "Observation": {"QuarterDuration": [90.0, 90.0], "MasterSeed": 1},
    "Instrument": {"Systematics": {"Table": "other.npy", "Enable": 1}},
    "Star": {"Mag": 10.0, "ES": "ms"},
    "Activity": {"Enable": 1, "Spot": {"Enable": 0}},
    "Transit": {"Enable": 0},
}


@pytest.fixture
def psls(tmp_path: Path) -> Path:
    folder = tmp_path / "psls"
    folder.mkdir()
    (folder / "psls.yaml").write_text(yaml.safe_dump(CONFIG))
    return folder


def test_the_configuration_keeps_what_it_does_not_set(psls: Path) -> None:
    config = configuration(psls, 42)
    assert config["Observation"] == {"QuarterDuration": [90.0], "MasterSeed": 42}
    assert config["Star"]["ES"] == "ms"  # type: ignore[index]
    assert config["Activity"] == {"Enable": 0, "Spot": {"Enable": 1}}


def test_the_large_separation_is_that_of_the_radial_modes() -> None:
    orders = np.arange(16, 26)
    radial = np.array([[n, 0, 0, 117.2 * n + 165.0, 1.0, np.exp(-((n - 20) ** 2) / 8)] for n in orders])
    dipole = np.array([[n, 1, 0, 90.0 * n, 1.0, 1.0] for n in orders])
    assert large_separation(np.vstack([radial, dipole])) == pytest.approx(117.2)


def test_a_failure_of_psls_tells_its_last_line(psls: Path, tmp_path: Path) -> None:
    (psls / "psls.py").write_text("def main():\n    raise SystemExit('the model is out of the table')\n")
    with pytest.raises(ScienceError, match="psls: exit code 1: the model is out of the table"):
        simulate(psls, 1, tmp_path)
