"""Read single values from a product: a JSON document, or HDF5 in the layout of the prototype SAS."""

import io
import json
import math
import signal
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5g, h5l, h5o

from plato_sas.collector.order import READABLE, ColumnOrder
from plato_sas.numbers import MAX_INTEGER, finite

Value = bool | int | float | str

MAX_STRING = 128  # as a fact's
_LARGEST_VALUE = 1 << 20  # bytes that one value may take in memory: a small file can declare gigabytes
_PARSING_SECONDS = 5.0  # of CPU time: it takes milliseconds
_GROUPS = ("PRODUCTS", "EXTERNALS")


class ValueInvalid(Exception):
    """A value does not fit its column; the message describes the value."""


def values(path: str, content: bytes, columns: list[ColumnOrder]) -> dict[ColumnOrder, Value]:
    """The values of the columns that come from one output. The format follows from the product's file name, `path`.

    Raises ValueInvalid if the product cannot be read, or if a value does not have its column's type and unit.
    """
    if not path.endswith(READABLE):
        raise ValueInvalid(f"only {', '.join(READABLE)} can be read")
    return _json_values(content, columns) if path.endswith(".json") else _hdf5_values(content, columns)


def checked(value: object, column: ColumnOrder) -> Value | None:
    """A value in the type of its column; None for a missing one (null, NaN). Raises ValueInvalid."""
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return None
    match column.type, value:
        case "boolean", bool():
            return value
        case "integer", int() if not isinstance(value, bool):
            if abs(value) > MAX_INTEGER:
                raise ValueInvalid(f"{value} does not fit into 64 bits")
            return value
        case "number", int() | float() if not isinstance(value, bool):
            return _finite(value)
        case "string", str():
            return _plain(value)
    shown = (
        "a value of several parts" if isinstance(value, dict | list | tuple) else json.dumps(value, default=repr)[:64]
    )
    raise ValueInvalid(f"{shown} is not of type {column.type}")


def _finite(value: float) -> float:
    number = finite(value)
    if number is None:
        raise ValueInvalid(f"{str(value)[:64]} is not a finite number")
    return number


def _plain(text: str) -> str:
    """What FITS can hold: printable ASCII, of bounded length."""
    if len(text) > MAX_STRING:
        raise ValueInvalid(f"longer than {MAX_STRING} characters: {text[:32]!r}...")
    if not text.isascii() or not text.isprintable():
        raise ValueInvalid(f"not printable ASCII, which FITS needs: {text[:64]!r}")
    return text.rstrip(" ")  # FITS pads with blanks, and cannot distinguish them from trailing blanks of the text


def _named(column: ColumnOrder) -> str:
    return f"column {column.name}: {column.output}: {column.pointer}"


def _json_values(content: bytes, columns: list[ColumnOrder]) -> dict[ColumnOrder, Value]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueInvalid(f"not JSON: {error}") from None
    found = {}
    for column in columns:
        try:
            value = checked(_at(document, column.pointer), column)
        except ValueInvalid as error:
            raise ValueInvalid(f"{_named(column)}: {error}") from None
        if value is not None:
            found[column] = value
    return found


def _at(document: object, pointer: str) -> object:
    """The value at a JSON pointer (RFC 6901); None if there is none."""
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        if isinstance(document, dict):
            document = document.get(key)
        elif isinstance(document, list) and key.isdecimal() and int(key) < len(document):
            document = document[int(key)]
        else:
            return None
    return document


def _hdf5_values(content: bytes, columns: list[ColumnOrder]) -> dict[ColumnOrder, Value]:
    """Ends the process if a file is damaged so that the HDF5 library crashes, or reads it for ever."""
    signal.setitimer(signal.ITIMER_VIRTUAL, _PARSING_SECONDS)  # its signal ends the process even in a loop of C
    try:
        with h5py.File(io.BytesIO(content), "r") as file:
            return _in_file(file, columns)
    except ValueInvalid:
        raise
    except Exception as error:
        # h5py has no error of its own: whatever it raises about a product is a problem of this product.
        raise ValueInvalid(f"not readable as HDF5: {error}") from None
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _in_file(file: h5py.File, columns: list[ColumnOrder]) -> dict[ColumnOrder, Value]:
    output = columns[0].output or ""
    groups = (_entered(file.id, [root, output]) for root in _GROUPS)
    group = next((one for one in groups if isinstance(one, h5g.GroupID)), None)
    if group is None:
        raise ValueInvalid(f"no group {' or '.join(f'{root}/{output}' for root in _GROUPS)}")
    found = {}
    for column in columns:
        try:
            value = checked(_in_group(group, column), column)
        except ValueInvalid as error:
            raise ValueInvalid(f"{_named(column)}: {error}") from None
        if value is not None:
            found[column] = value
    return found


def _in_group(group: h5g.GroupID, column: ColumnOrder) -> object:
    *folders, last = column.pointer.split("/")[1:]
    if last.startswith("@"):
        item = _entered(group, folders)
        return _attribute(item, last[1:]) if item is not None else None
    item = _entered(group, [*folders, last])
    if item is None:
        return None
    if not isinstance(item, h5d.DatasetID):
        raise ValueInvalid("a group, not a dataset")
    dataset = h5py.Dataset(item)
    if dataset.size != 1 or dataset.external is not None or dataset.is_virtual:
        raise ValueInvalid(f"not a single value: its shape is {dataset.shape}")
    _check_size(item.get_type().get_size() * math.prod(dataset.chunks or ()))
    unit = _attribute(item, "unit")
    if unit and not same_unit(str(unit), column.unit or ""):
        raise ValueInvalid(f"its unit is {str(unit)[:32]!r}, the column's is {column.unit or 'none'!r}")
    return _single(dataset[()])


def _entered(group: h5g.GroupID, names: list[str]) -> Any:
    """The object below a group; None if there is none. Links are not followed, since they could lead into another file.

    Uses h5py's low-level interface, which is several times as fast.
    """
    item: Any = group
    for name in names:
        encoded = name.encode()
        if not isinstance(item, h5g.GroupID) or not item.links.exists(encoded):
            return None
        if item.links.get_info(encoded).type != h5l.TYPE_HARD:
            raise ValueInvalid(f"{name} is a link, not an object of the product's own")
        item = h5o.open(item, encoded)
    return item


def _attribute(item: Any, name: str) -> object:
    """None if there is none."""
    if not h5a.exists(item, name.encode()):
        return None
    attribute = h5a.open(item, name.encode())
    _check_size(attribute.get_type().get_size() * attribute.get_space().get_simple_extent_npoints())
    holder = h5py.Group(item) if isinstance(item, h5g.GroupID) else h5py.Dataset(item)
    return _single(holder.attrs[name])


def _check_size(size: int) -> None:
    """Refuse what would be too large in memory, before it is read. A chunk is read as a whole."""
    if size > _LARGEST_VALUE:
        raise ValueInvalid(f"takes {size} bytes, more than the {_LARGEST_VALUE} of a single value")


def _single(value: object) -> object:
    """An HDF5 value as a Python value. Raises ValueInvalid if there are several."""
    if isinstance(value, np.ndarray):
        if value.size != 1:
            raise ValueInvalid(f"not a single value: its shape is {value.shape}")
        value = value.reshape(-1)[0]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, np.floating):
        value = float(value)  # of more digits than Python's
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value


# Units in the products of this project, and their names in FITS.
_SAME = {"Msun": "solMass", "Rsun": "solRad", "Lsun": "solLum"}


def same_unit(one: str, other: str) -> bool:
    """Whether two texts name the same unit: `Msun` is `solMass` in FITS."""
    return _SAME.get(one, one) == _SAME.get(other, other)


def fits_unit(unit: str) -> str:
    """A unit's name in FITS (version 4.0, section 4.3), if it has one."""
    return _SAME.get(unit, unit)
