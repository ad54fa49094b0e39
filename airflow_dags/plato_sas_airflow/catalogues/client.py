"""Requests for StarCatalogue resources, over one asynchronous connection."""

from kubernetes_asyncio.client.exceptions import ApiException

from plato_sas_airflow.catalogues.resource import WantedCatalogue
from plato_sas_airflow.errors import ApplyError
from plato_sas_airflow.kube.client import StarProcessingClient, reason_of
from plato_sas_airflow.kube.resource import Resource

PLURAL = "starcatalogues"
_ATTEMPTS = 8


class StarCatalogueClient(StarProcessingClient):
    """Requests of one trigger or task; transient errors are retried as for StarProcessings."""

    plural = PLURAL

    async def ensure(self, wanted: WantedCatalogue) -> Resource:
        """Create the catalogue, or request its rerun; returns the resource as it then is.

        Raises BatchError if it cannot be adopted, and ApplyError if the server refuses it.
        """
        for _ in range(_ATTEMPTS):
            existing = await self.get(wanted.name, wanted.namespace)
            body = wanted.to_apply(existing)
            if body is None:
                assert existing is not None
                return existing
            try:
                await self.apply(body)
            except ApiException as error:
                if (error.status == 404 and existing is None) or error.status in (400, 403, 422):
                    raise ApplyError(f"StarCatalogue {wanted.name} is refused: {reason_of(error)}") from error
                if error.status not in (404, 409):
                    raise
        raise ApplyError(f"StarCatalogue {wanted.name} could not be changed: others keep changing it", transient=True)
