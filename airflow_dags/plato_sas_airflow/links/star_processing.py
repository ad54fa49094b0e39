"""Links from a task to pages outside Airflow: the star's products, the campaign.

A site defines their addresses as templates in the section `[plato_sas]` of Airflow's configuration, or in the extras of
the connection, which take precedence. Without a template there is no link.
"""

from collections.abc import Mapping
from typing import Protocol, cast
from urllib.parse import quote, urlsplit

from airflow.sdk import BaseOperator, BaseOperatorLink
from airflow.sdk.configuration import conf
from airflow.sdk.types import TaskInstanceKey

from plato_sas_airflow.settings import SECTION


class Linked(Protocol):
    """An operator with links."""

    kubernetes_conn_id: str

    def link_values(self) -> Mapping[str, str]:
        """Values for the templates; a name without a value is left out."""


class _TemplateLink(BaseOperatorLink):
    """A link whose address is a template with names in braces."""

    option = ""
    """Name of the template in the section and in the extras."""

    def get_link(self, operator: BaseOperator, *, ti_key: TaskInstanceKey) -> str:  # noqa: ARG002  (Airflow's)
        """The address; empty if there is none."""
        # Imported here: operators import this module whenever a DAG is parsed, and links are filled in at run time.
        from plato_sas_airflow.hooks.star_processing import StarProcessingHook

        linked = cast(Linked, operator)
        extras = StarProcessingHook(linked.kubernetes_conn_id).extras()
        template = extras.get(self.option) or conf.get(SECTION, self.option, fallback="")
        values = {"namespace": str(extras.get("namespace") or ""), **linked.link_values()}
        return filled(str(template or ""), {name: value for name, value in values.items() if value})


class ProductsLink(_TemplateLink):
    """The link to the products of the task's star."""

    option = "products_url"
    name = "Products"


class CampaignLink(_TemplateLink):
    """The link to the page of the task's campaign."""

    option = "campaign_url"
    name = "Campaign"


def filled(template: str, values: Mapping[str, str]) -> str:
    """The address with every `{name}` replaced by its quoted value.

    Empty if a name has no value, or if the result is not an address of a page.
    """
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", quote(value, safe=""))
    if "{" in template or urlsplit(template).scheme not in ("http", "https"):
        return ""
    return template
