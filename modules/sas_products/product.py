"""Product files: HDF5, one product each, in the layout of the prototype SAS.

A file holds one group, ``PRODUCTS/<IDENT>`` for what the SAS makes and ``EXTERNALS/<IDENT>`` for what it is
given (the names that PSLS 2.0 writes with ``--proto-sas``). The group's datasets are the product's columns
and scalars; a dataset's attribute ``unit`` names its unit. A sub-group holds a further table or scalar.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

from sas_products.arrays import FloatArray
from sas_products.errors import InputError

AttributeValue = str | int | float | bool


@dataclass(frozen=True)
class Column:
    """One dataset: an array (or a single number) and its unit."""

    data: npt.NDArray[np.generic] | float | int | bool
    unit: str = ""


def group_path(ident: str) -> str:
    """The HDF5 path of a product's group: ``PRODUCTS/...`` if the SAS makes it, else ``EXTERNALS/...``."""
    return f"{'PRODUCTS' if '_SAS_' in ident else 'EXTERNALS'}/{ident}"


def write_product(
    path: Path,
    ident: str,
    content: Mapping[str, Column | Mapping[str, Column]],
    attributes: Mapping[str, AttributeValue],
) -> None:
    """Write one product file. A nested mapping becomes a sub-group. The same content gives the same bytes."""
    with h5py.File(path, "w") as file:
        group = file.create_group(group_path(ident))
        group.attrs.update(attributes)
        for name, item in content.items():
            if isinstance(item, Column):
                _write_column(group, name, item)
            else:
                table = group.create_group(name)
                for column_name, column in item.items():
                    _write_column(table, column_name, column)


def _write_column(group: h5py.Group, name: str, column: Column) -> None:
    data = np.asarray(column.data)
    # Level 1 takes little time; most of the gain on light curves comes from the byte shuffle before it.
    options = {"compression": "gzip", "compression_opts": 1, "shuffle": True} if data.size > 1024 else {}
    dataset = group.create_dataset(name, data=data, track_times=False, **options)
    if column.unit:
        dataset.attrs["unit"] = column.unit


class ProductGroup:
    """The group of an open product file; every error names the product, the group and the dataset."""

    def __init__(self, ident: str, group: h5py.Group) -> None:
        self.ident = ident
        self._group = group

    @property
    def where(self) -> str:
        """Where errors say they are: ``<IDENT>: <group path>``."""
        return f"{self.ident}: {str(self._group.name).lstrip('/')}"

    def names(self) -> list[str]:
        """Names of the datasets and sub-groups."""
        return sorted(self._group)

    def __contains__(self, name: str) -> bool:
        return name in self._group

    def subgroup(self, name: str) -> "ProductGroup":
        """A sub-group, by its name or path."""
        item = self._item(name)
        if not isinstance(item, h5py.Group):
            raise InputError(f"{self.where}/{name}: expected a group, found a dataset")
        return ProductGroup(self.ident, item)

    def array(self, name: str) -> FloatArray:
        """A numeric dataset as float64, of any shape."""
        return self._read(name).astype(np.float64)

    def number(self, name: str) -> float:
        """A numeric dataset with one value."""
        data = self._read(name)
        if data.size != 1:
            raise InputError(f"{self.where}/{name}: expected one value, found shape {data.shape}")
        return float(data.reshape(-1)[0])

    def unit(self, name: str) -> str:
        """The unit of a dataset, empty when it has none."""
        return str(self._item(name).attrs.get("unit", ""))

    def attribute(self, name: str) -> AttributeValue | None:
        """An attribute of the group: a string, number or boolean; None if it is absent or anything else."""
        value = self._group.attrs.get(name)
        if isinstance(value, np.generic):
            value = value.item()
        return value if isinstance(value, str | int | float | bool) else None

    def _item(self, name: str) -> h5py.Group | h5py.Dataset:
        try:
            return self._group[name]
        except KeyError:
            raise InputError(f"{self.where}/{name}: no such dataset or group") from None

    def _read(self, name: str) -> npt.NDArray[np.generic]:
        item = self._item(name)
        if not isinstance(item, h5py.Dataset):
            raise InputError(f"{self.where}/{name}: expected a dataset, found a group")
        if item.dtype.kind not in "fiub":
            raise InputError(f"{self.where}/{name}: expected numbers, found {item.dtype}")
        try:
            return np.asarray(item[()])
        except (OSError, RuntimeError) as error:
            raise InputError(f"{self.where}/{name}: cannot be read: {error}") from error


@contextmanager
def open_product(path: Path, ident: str) -> Iterator[ProductGroup]:
    """Open the group of product `ident` in the file `path`, or raise `InputError`."""
    if not path.is_file():
        raise InputError(f"{ident}: no such file: {path}")
    try:
        file = h5py.File(path, "r")
    except OSError as error:
        raise InputError(f"{ident}: not a readable HDF5 file: {error}") from error
    with file:
        try:
            group = file[group_path(ident)]
        except (KeyError, OSError, RuntimeError):
            raise InputError(f"{ident}: group {group_path(ident)} is missing or unreadable") from None
        if not isinstance(group, h5py.Group):
            raise InputError(f"{ident}: {group_path(ident)} is a dataset, expected a group")
        yield ProductGroup(ident, group)
