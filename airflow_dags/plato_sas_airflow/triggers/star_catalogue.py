"""The trigger that waits for a catalogue in Airflow's triggerer."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

from airflow.triggers.base import TriggerEvent

from plato_sas_airflow.catalogues.resource import CatalogueRef
from plato_sas_airflow.catalogues.waiting import wait_for_catalogue
from plato_sas_airflow.hooks.star_processing import StarProcessingHook
from plato_sas_airflow.triggers.task import TaskTrigger


class StarCatalogueTrigger(TaskTrigger):
    """Follows one StarCatalogue with one watch, and fires once: when it is finished, deleted, or the deadline passed.

    :param catalogue: what `CatalogueRef.serialize` returns.
    :param kubernetes_conn_id: connection of the type `kubernetes` or `plato_sas`.
    :param deadline: seconds since the epoch; None: no deadline.
    :param rejected_seconds: a catalogue that stays `Rejected` for longer has failed.
    """

    def __init__(
        self,
        catalogue: Mapping[str, str],
        kubernetes_conn_id: str,
        deadline: float | None = None,
        rejected_seconds: float = 300.0,
    ) -> None:
        super().__init__(kubernetes_conn_id)
        self.catalogue = CatalogueRef(**catalogue)
        self.deadline = deadline
        self.rejected_seconds = rejected_seconds

    def arguments(self) -> dict[str, Any]:
        return {
            "catalogue": self.catalogue.serialize(),
            "deadline": self.deadline,
            "rejected_seconds": self.rejected_seconds,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        async with StarProcessingHook(self.kubernetes_conn_id).get_conn() as connection:
            end = await wait_for_catalogue(connection, self.catalogue, self.log, self.deadline, self.rejected_seconds)
        yield TriggerEvent(end)  # type: ignore[no-untyped-call]
