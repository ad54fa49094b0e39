"""The demo's Airflow, with pages for its tasks to link to."""

import configparser
import io
from dataclasses import dataclass

from e2e.airflow.settings import Home


@dataclass(frozen=True)
class LinkedHome(Home):
    """Settings of the demo's Airflow and the addresses of the tasks' links (`[plato_sas]` in its configuration).

    An AirflowService of this home restarts an Airflow that runs with other settings; one of the plain `Home` restores
    those.
    """

    products_url: str = ""
    campaign_url: str = ""

    def render(self, port: int) -> str:
        parser = configparser.ConfigParser(interpolation=None)
        parser.read_string(super().render(port))
        parser.set("plato_sas", "products_url", self.products_url)
        parser.set("plato_sas", "campaign_url", self.campaign_url)
        text = io.StringIO()
        parser.write(text)
        return text.getvalue()
