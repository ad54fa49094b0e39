"""A star as a DAG names it, and what is checked of it before anything is created."""

from plato_sas_airflow.stars.star import batch_slices, star_spec

__all__ = ["batch_slices", "star_spec"]
