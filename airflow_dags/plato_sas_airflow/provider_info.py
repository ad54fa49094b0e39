"""What Airflow's providers manager needs to know about the package."""

from importlib.metadata import version
from typing import Any

from plato_sas_airflow.settings import SECTION, Settings

_PACKAGE = "plato_sas_airflow"
_INTEGRATION = "PLATO SAS"


def get_provider_info() -> dict[str, Any]:
    """The entry point `apache_airflow_provider`."""
    return {
        "package-name": "plato-sas",
        "name": _INTEGRATION,
        "description": "Stars through the PLATO Stellar Analysis System: StarProcessing resources from Airflow.",
        "versions": [version("plato-sas")],
        "integrations": [{"integration-name": _INTEGRATION, "tags": ["service"]}],
        "operators": [_modules("operators.star_batch", "operators.star_catalogue", "operators.star_processing")],
        "sensors": [_modules("sensors.star_processing")],
        "hooks": [_modules("hooks.star_processing")],
        "triggers": [_modules("triggers.star_batch", "triggers.star_catalogue", "triggers.star_state")],
        "task-decorators": [{"name": "star_batch", "class-name": f"{_PACKAGE}.decorators.star_batch.star_batch_task"}],
        "extra-links": [f"{_PACKAGE}.links.star_processing.{name}" for name in ("ProductsLink", "CampaignLink")],
        "connection-types": [_connection_type()],
        "config": {SECTION: _configuration()},
    }


def _modules(*names: str) -> dict[str, Any]:
    return {"integration-name": _INTEGRATION, "python-modules": [f"{_PACKAGE}.{name}" for name in names]}


def _connection_type() -> dict[str, Any]:
    """A form with the fields that PLATO SAS uses; a connection of the type `kubernetes` works as well."""
    text = {"type": ["string", "null"]}
    return {
        "connection-type": "plato_sas",
        "hook-name": _INTEGRATION,
        "hook-class-name": f"{_PACKAGE}.hooks.star_processing.StarProcessingHook",
        "conn-fields": {
            "in_cluster": {"label": "In cluster configuration", "schema": {"type": ["boolean", "null"]}},
            "kube_config_path": {"label": "Kube config path", "schema": text},
            "kube_config": {"label": "Kube config (JSON format)", "schema": {**text, "format": "password"}},
            "cluster_context": {"label": "Cluster context", "schema": text},
            "namespace": {"label": "Namespace of the StarProcessings", "schema": text},
            "products_url": {"label": "Page of a star's products (URL template)", "schema": text},
            "campaign_url": {"label": "Page of a campaign (URL template)", "schema": text},
        },
        "ui-field-behaviour": {"hidden-fields": ["host", "schema", "login", "password", "port", "extra"]},
    }


def _configuration() -> dict[str, Any]:
    return {
        "description": "Defaults of the DAGs of PLATO SAS, how they run, and the pages that their tasks link to.",
        "options": {
            **Settings.provider_options(),
            "products_url": _option(
                "Page of a star's products. `{star}`, `{campaign}`, `{pipeline}`, `{namespace}` and `{name}` (of the "
                "StarProcessing) are filled in. No link if empty. The connection's extra of this name takes "
                "precedence.",
                "https://products.example.org/{campaign}/{star}/",
            ),
            "campaign_url": _option(
                "Page of a campaign. `{campaign}`, `{pipeline}` and `{namespace}` are filled in. No link if empty. The "
                "connection's extra of this name takes precedence.",
                "https://grafana.example.org/d/plato-sas?var-campaign={campaign}",
            ),
        },
    }


def _option(description: str, example: str) -> dict[str, Any]:
    return {
        "description": description,
        "version_added": "0.1.0",
        "type": "string",
        "example": example,
        "default": "",
    }
