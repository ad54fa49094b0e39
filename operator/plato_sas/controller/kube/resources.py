"""The kinds of objects that the operator reads or writes, with their paths in the API."""

from dataclasses import dataclass

from plato_sas.api import GROUP, VERSION
from plato_sas.jobs.names import SELECTOR


@dataclass(frozen=True)
class Kind:
    """A namespaced kind. `selector` restricts lists and watches on the server."""

    group: str  # "" is the core group
    version: str
    plural: str
    name: str
    selector: str | None = None

    def path(self, namespace: str, name: str | None = None, subresource: str | None = None) -> str:
        root = f"/apis/{self.group}/{self.version}" if self.group else f"/api/{self.version}"
        parts = [root, "namespaces", namespace, self.plural]
        return "/".join([*parts, *(part for part in (name, subresource) if part)])


PROCESSING = Kind(GROUP, VERSION, "starprocessings", "StarProcessing")
PIPELINE = Kind(GROUP, VERSION, "starpipelines", "StarPipeline")
MODULE = Kind(GROUP, VERSION, "sciencemodules", "ScienceModule")
CATALOGUE = Kind(GROUP, VERSION, "starcatalogues", "StarCatalogue")
JOB = Kind("batch", "v1", "jobs", "Job", SELECTOR)
POD = Kind("", "v1", "pods", "Pod", SELECTOR)
REVISION = Kind("apps", "v1", "controllerrevisions", "ControllerRevision")
EVENT = Kind("", "v1", "events", "Event")

WATCHED = (PROCESSING, PIPELINE, MODULE, JOB, POD)
