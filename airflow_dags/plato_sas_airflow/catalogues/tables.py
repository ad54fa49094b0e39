"""The tables of a campaign's catalogue, which a site defines in a StarCatalogue's manifest per pipeline."""

from typing import Any

import yaml
from airflow.sdk import ObjectStoragePath

from plato_sas.api import API_VERSION, StarCatalogue
from plato_sas_airflow.catalogues.resource import checked_spec
from plato_sas_airflow.errors import BatchError

_CATALOGUE = (API_VERSION, StarCatalogue.__name__)


def read_tables(folder: str, pipeline: str) -> list[dict[str, Any]]:
    """The tables of the StarCatalogue in `<folder>/<pipeline>.yaml`. Raises BatchError naming the file.

    The manifest's name and campaign are ignored: a run has its own. Other fields of the spec are refused, since the
    run's catalogue would not have them.

    :param folder: a local path, or a URL of a storage that Airflow knows.
    """
    path = f"{folder.rstrip('/')}/{pipeline}.yaml"
    try:
        document = yaml.safe_load(ObjectStoragePath(path).read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise BatchError(
            f"{path} does not exist: it defines the tables of the catalogue of {pipeline}; without it, run without a "
            "catalogue"
        ) from None
    except (OSError, ValueError, ImportError, yaml.YAMLError) as error:
        raise BatchError(f"{path}: {type(error).__name__}: {error}") from error
    spec = document.get("spec") if isinstance(document, dict) else None
    if not isinstance(spec, dict) or (document.get("apiVersion"), document.get("kind")) != _CATALOGUE:
        raise BatchError(f"{path}: not the manifest of a StarCatalogue ({API_VERSION})")
    if unused := sorted(spec.keys() - {"campaign", "pipeline", "tables"}):
        raise BatchError(f"{path}: spec: {', '.join(unused)}: not used for a run's catalogue")
    try:
        checked = checked_spec(spec)
    except BatchError as error:
        raise BatchError(f"{path}: {error}") from None
    if checked["pipeline"] != pipeline:
        raise BatchError(f"{path}: spec.pipeline is {checked['pipeline']}, not {pipeline}")
    tables: list[dict[str, Any]] = checked["tables"]
    return tables
