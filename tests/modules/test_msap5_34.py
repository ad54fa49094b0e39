"""msap5-34: the selection into DP5, and the record of it."""

import json
from pathlib import Path

import pytest

from msap5_34.__main__ import main
from msap5_34.selection import QUANTITIES, Quantity, check, select
from sas_products import Scalar, open_product, read_scalar, run, write_scalars

MASS, RADIUS, AGE = QUANTITIES


@pytest.mark.parametrize(
    ("quantity", "scalar", "fault"),
    [
        (MASS, Scalar(1.0, "Msun", 0.05), None),
        (MASS, Scalar(1.0, "kg", 0.05), "unit"),
        (MASS, Scalar(1.0, "Msun"), "no uncertainty"),
        (MASS, Scalar(-1.0, "Msun", 0.1), "not positive"),
        (MASS, Scalar(50.0, "Msun", 0.1), "outside"),
        (RADIUS, Scalar(1.0, "Rsun", 0.6), "relative uncertainty"),
        (AGE, Scalar(14.5, "Gyr", 1.0), None),
        (AGE, Scalar(14.5, "Gyr", 0.2), "outside"),
    ],
)
def test_every_check(quantity: Quantity, scalar: Scalar, fault: str | None) -> None:
    found = check(quantity, scalar, 0.5)
    assert found is None if fault is None else fault in str(found)


def test_the_first_candidate_that_passes_is_taken() -> None:
    quantity = Quantity("MASS", ("A", "B"), "Msun", 0.1, 10.0)
    good, bad = Scalar(1.0, "Msun", 0.05), Scalar(99.0, "Msun", 0.05)
    assert select(quantity, {"A": good, "B": good}, 0.5).source == "A"
    assert select(quantity, {"A": bad, "B": good}, 0.5).source == "B"
    none = select(quantity, {"A": bad}, 0.5)
    assert none.scalar is None
    assert "A: 99 Msun lies outside" in none.reason


def a_run(root: Path, monkeypatch: pytest.MonkeyPatch, inputs: dict[str, Scalar]) -> int:
    (root / "in").mkdir()
    (root / "out").mkdir()
    for ident, value in inputs.items():
        write_scalars(root / "in" / ident, ident, value, {})
    (root / "params.json").write_text('{"max_relative_uncertainty": 0.5}')
    values = {"ROOT": str(root), "STAR": "s", "CAMPAIGN": "q1", "STEP": "msap5-34", "SEED": "1"}
    for name, value in values.items():
        monkeypatch.setenv(f"SAS_{name}", value)
    return run(main, module="msap5-34", version="0.1.0")


def test_with_nothing_to_select_the_record_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert a_run(tmp_path, monkeypatch, {}) == 0
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["DP5_SAS_METADATA.h5", "facts.json"]
    assert json.loads((tmp_path / "out" / "facts.json").read_text()) == {"dp5_published": False}
    with open_product(tmp_path / "out" / "DP5_SAS_METADATA.h5", "DP5_SAS_METADATA") as group:
        assert group.number("published") == 0
        assert "IDP_SAS_AGE_SCALING_ONLY absent" in str(group.attribute("age_reason"))


def test_each_quantity_is_published_on_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inputs = {
        "IDP_SAS_MASS_SCALING_ONLY": Scalar(1.01, "Msun", 0.04),
        "IDP_SAS_RADIUS_SCALING_ONLY": Scalar(1.15, "Rsun", 0.02),
        "IDP_SAS_AGE_SCALING_ONLY": Scalar(25.0, "Gyr", 1.0),
    }
    assert a_run(tmp_path, monkeypatch, inputs) == 0
    facts = json.loads((tmp_path / "out" / "facts.json").read_text())
    assert facts == {"dp5_published": True, "mass": 1.01, "radius": 1.15}
    assert read_scalar(tmp_path / "out" / "DP5_SAS_MASS.h5", "DP5_SAS_MASS").value == 1.01
    assert not (tmp_path / "out" / "DP5_SAS_AGE.h5").exists()
    with open_product(tmp_path / "out" / "DP5_SAS_METADATA.h5", "DP5_SAS_METADATA") as group:
        assert group.attribute("mass_source") == "IDP_SAS_MASS_SCALING_ONLY"
        assert "outside" in str(group.attribute("age_reason"))
        assert group.number("age_published") == 0
