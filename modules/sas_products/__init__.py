"""Product files and the run of a module, shared by the reference modules. Needs only numpy and h5py."""

from sas_products.arrays import FloatArray, IntArray
from sas_products.errors import InputError, ModuleFailure, ParameterError, ScienceError
from sas_products.placing import place_input
from sas_products.product import Column, ProductGroup, group_path, open_product, write_product
from sas_products.scalar import Scalar, read_scalar, scalar_in, write_scalars
from sas_products.series import PPM, Series, read_dp1, read_series, write_dp1, write_series
from sas_products.spectrum import Spectrum, read_spectrum, write_spectrum
from sas_products.star_data import StarData, read_star_data, write_star_data
from sas_products.step import Step, run

__all__ = [
    "PPM",
    "Column",
    "FloatArray",
    "InputError",
    "IntArray",
    "ModuleFailure",
    "ParameterError",
    "ProductGroup",
    "Scalar",
    "ScienceError",
    "Series",
    "Spectrum",
    "StarData",
    "Step",
    "group_path",
    "open_product",
    "place_input",
    "read_dp1",
    "read_scalar",
    "read_series",
    "read_spectrum",
    "read_star_data",
    "run",
    "scalar_in",
    "write_dp1",
    "write_product",
    "write_scalars",
    "write_series",
    "write_spectrum",
    "write_star_data",
]
