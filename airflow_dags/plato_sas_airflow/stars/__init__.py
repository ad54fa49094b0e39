"""A star as a DAG specifies it, and the checks before anything is created."""

from plato_sas_airflow.stars.star import batch_slices, star_spec

__all__ = ["batch_slices", "star_spec"]
