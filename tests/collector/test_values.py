"""Values out of products: what is there, what is missing, and what is refused."""

import json
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from plato_sas.collector.order import ColumnOrder
from plato_sas.collector.values import ValueInvalid, checked, fits_unit, values
from tests.support.tree import hdf5


def column(pointer: str = "/value", kind: str = "number", unit: str | None = None) -> ColumnOrder:
    return ColumnOrder("x", kind, "fit", output="OUT", pointer=pointer, unit=unit)


def read_json(document: object, pointer: str, kind: str = "number") -> object:
    one = column(pointer, kind)
    return values("OUT.json", json.dumps(document).encode(), [one]).get(one)


def read_hdf5(content: bytes, *, path: str = "OUT.h5", **fields: Any) -> object:
    one = column(**fields)
    return values(path, content, [one]).get(one)


@pytest.mark.parametrize(
    ("pointer", "kind", "value"),
    [
        ("/value", "number", 1.5),
        ("/a/b/1", "integer", 7),
        ("/with~1slash", "string", "s"),
        ("/with~0tilde", "boolean", False),
        ("/absent", "number", None),
        ("/a/b/9", "number", None),
        ("/a/b/x", "number", None),
        ("/value/deeper", "number", None),
        ("/null", "number", None),
        ("/nan", "number", None),
    ],
)
def test_a_json_pointer_leads_to_a_value_or_to_nothing(pointer: str, kind: str, value: object) -> None:
    document = {"value": 1.5, "a": {"b": [6, 7]}, "with/slash": "s", "with~tilde": False, "null": None, "nan": np.nan}
    assert read_json(document, pointer, kind) == value


@pytest.mark.parametrize(
    ("kind", "value", "told"),
    [
        ("number", True, "not of type number"),
        ("number", "1.5", "not of type number"),
        ("number", [1.5], "not of type number"),
        ("number", float("inf"), "not a finite number"),
        ("number", 10**400, "not a finite number"),
        ("integer", 1.0, "not of type integer"),
        ("integer", -(2**63), "does not fit into 64 bits"),
        ("boolean", 1, "not of type boolean"),
        ("string", 1, "not of type string"),
        ("string", "x" * 129, "longer than 128"),
        ("string", "µ", "printable ASCII"),
        ("string", "a\nb", "printable ASCII"),
    ],
)
def test_a_value_of_another_type_is_refused(kind: str, value: object, told: str) -> None:
    with pytest.raises(ValueInvalid, match=told):
        checked(value, column(kind=kind))


def test_an_integer_is_a_number_too() -> None:
    assert checked(3, column()) == 3.0
    assert isinstance(checked(3, column()), float)


def test_a_product_of_the_reference_modules(tmp_path: Path) -> None:
    content = hdf5(tmp_path / "f", "OUT", {"value": 1.5, "uncertainty": 0.25}, "Msun", source="IDP_X", n=3)
    assert read_hdf5(content, unit="solMass") == 1.5
    assert read_hdf5(content, unit="solMass", pointer="/uncertainty") == 0.25
    assert read_hdf5(content, unit="solMass", pointer="/lower") is None
    assert read_hdf5(content, kind="string", pointer="/@source") == "IDP_X"
    assert read_hdf5(content, kind="integer", pointer="/@n") == 3
    assert read_hdf5(content, kind="string", pointer="/@absent") is None


def test_types_and_sub_groups(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f", "w") as file:
        group = file.create_group("EXTERNALS/OUT")
        group["flag"] = np.bool_(True)
        group["count"] = np.array([4], dtype="i2")
        group["text"] = "hello"
        group["inner/value"] = np.float32(0.5)
        group["inner/value"].attrs["unit"] = "d"
        group["nan"] = np.nan
    content = (tmp_path / "f").read_bytes()
    assert read_hdf5(content, pointer="/flag", kind="boolean") is True
    assert read_hdf5(content, pointer="/count", kind="integer") == 4
    assert read_hdf5(content, pointer="/text", kind="string") == "hello"
    assert read_hdf5(content, pointer="/inner/value", unit="d", path="OUT.hdf5") == 0.5
    assert read_hdf5(content, pointer="/nan") is None


@pytest.mark.parametrize("unit", [None, "kg"])
def test_another_unit_is_refused(tmp_path: Path, unit: str | None) -> None:
    content = hdf5(tmp_path / "f", "OUT", {"value": 1.5}, "Msun")
    with pytest.raises(ValueInvalid, match="column x: OUT: /value: its unit is 'Msun', the column's is"):
        read_hdf5(content, unit=unit)


def test_what_is_no_single_value_is_refused(tmp_path: Path) -> None:
    content = hdf5(tmp_path / "f", "OUT", {"value": [1.0, 2.0], "none": np.empty(0)})
    for pointer in ("/value", "/none"):
        with pytest.raises(ValueInvalid, match="not a single value"):
            read_hdf5(content, pointer=pointer)
    with h5py.File(tmp_path / "f", "w") as file:
        file.create_group("PRODUCTS/OUT/value")
    with pytest.raises(ValueInvalid, match="a group, not a dataset"):
        read_hdf5((tmp_path / "f").read_bytes())


@pytest.mark.parametrize("link", [h5py.SoftLink("/elsewhere"), h5py.ExternalLink("/etc/other.h5", "/value")])
def test_a_link_is_not_followed(tmp_path: Path, link: object) -> None:
    with h5py.File(tmp_path / "f", "w") as file:
        file["elsewhere"] = 1.0
        file.create_group("PRODUCTS/OUT")["value"] = link
    with pytest.raises(ValueInvalid, match="value is a link"):
        read_hdf5((tmp_path / "f").read_bytes())


def test_data_in_another_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(bytes(8))
    with h5py.File(tmp_path / "f", "w") as file:
        file.create_dataset("PRODUCTS/OUT/value", shape=(1,), dtype="f8", external=[(str(tmp_path / "raw"), 0, 8)])
    with pytest.raises(ValueInvalid, match="not a single value"):
        read_hdf5((tmp_path / "f").read_bytes())


@pytest.mark.parametrize(
    ("path", "content", "told"),
    [
        ("OUT.json", b"{", "not JSON"),
        ("OUT.json", b"[" * 100_000, "not JSON"),
        ("OUT.h5", b"no HDF5", "not readable as HDF5"),
        ("OUT.h5", b"", "not readable as HDF5"),
        ("OUT.csv", b"1,2", "only .json, .h5, .hdf5"),
    ],
)
def test_a_product_that_cannot_be_read_is_refused(path: str, content: bytes, told: str) -> None:
    with pytest.raises(ValueInvalid, match=told):
        values(path, content, [column()])


def test_a_cut_off_product_is_refused_and_crashes_nothing(tmp_path: Path) -> None:
    content = hdf5(tmp_path / "f", "OUT", {"value": 1.5}, "d", source="x" * 100)
    for length in range(0, len(content), 211):
        with pytest.raises(ValueInvalid):
            read_hdf5(content[:length], unit="d")


def test_a_product_without_its_group_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueInvalid, match="no group PRODUCTS/OUT or EXTERNALS/OUT"):
        read_hdf5(hdf5(tmp_path / "f", "OTHER", {"value": 1.0}))


def test_units_have_their_names_in_fits() -> None:
    assert [fits_unit(one) for one in ("Msun", "Rsun", "uHz", "ppm")] == ["solMass", "solRad", "uHz", "ppm"]


GIANT = 2 << 30


def giant_string() -> h5py.h5t.TypeID:
    kind = h5py.h5t.C_S1.copy()
    kind.set_size(GIANT)
    return kind


def test_a_small_file_that_declares_a_string_of_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f", "w") as file:
        group = file.create_group("PRODUCTS/OUT")
        h5py.h5d.create(group.id, b"value", giant_string(), h5py.h5s.create(h5py.h5s.SCALAR))
    content = (tmp_path / "f").read_bytes()
    assert len(content) < 1 << 20
    with pytest.raises(ValueInvalid, match=f"column x: OUT: /value: takes {GIANT} bytes, more than the 1048576"):
        read_hdf5(content, kind="string")


def test_a_value_in_a_chunk_of_gigabytes_is_refused_unread(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f", "w") as file:
        file.create_dataset("PRODUCTS/OUT/value", shape=(1,), maxshape=(None,), chunks=(1 << 28,), dtype="f8")
        file.create_dataset("PRODUCTS/OUT/usual", data=[1.5], maxshape=(None,), chunks=True, compression="gzip")
    content = (tmp_path / "f").read_bytes()
    with pytest.raises(ValueInvalid, match=f"takes {GIANT} bytes"):
        read_hdf5(content)
    assert read_hdf5(content, pointer="/usual") == 1.5


def test_an_attribute_of_megabytes_is_refused_unread(tmp_path: Path) -> None:
    with h5py.File(tmp_path / "f", "w", libver="latest") as file:
        file.create_group("PRODUCTS/OUT").attrs["big"] = np.zeros(1 << 18)
    with pytest.raises(ValueInvalid, match="takes 2097152 bytes"):
        read_hdf5((tmp_path / "f").read_bytes(), pointer="/@big")


def test_a_value_nested_too_deeply_to_be_written_is_refused() -> None:
    text = b'{"value": ' + b"[" * 900 + b"]" * 900 + b"}"
    one = column()
    with pytest.raises(ValueInvalid, match="a value of several parts is not of type number"):
        values("OUT.json", text, [one])


def test_a_number_of_more_digits_than_pythons_is_one_and_told_as_one(tmp_path: Path) -> None:
    content = hdf5(tmp_path / "f", "OUT", {"value": np.longdouble(1.5), "inf": np.longdouble("inf")})
    assert read_hdf5(content) == 1.5
    with pytest.raises(ValueInvalid, match="/inf: inf is not a finite number"):
        read_hdf5(content, pointer="/inf")
    with pytest.raises(ValueInvalid, match=r"/value: 1\.5 is not of type string"):
        read_hdf5(content, kind="string")
