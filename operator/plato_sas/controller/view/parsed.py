"""Stars as models: each version of a StarProcessing is validated once, while its star is at work."""

from plato_sas.api import StarProcessing, StarProcessingStatus, StarState
from plato_sas.document import Document

_REMEMBERED = 4096  # of the order of the stars that have Jobs at a time; a model takes some 15 KiB


class ParsedStars:
    """The models of the stars that were asked for last."""

    def __init__(self, remembered: int = _REMEMBERED) -> None:
        self._remembered = remembered
        self._models: dict[str, StarProcessing] = {}  # by uid, the one asked for last at the end

    def of(self, stored: Document) -> StarProcessing:
        """The model of a stored star. Raises pydantic.ValidationError."""
        metadata = stored["metadata"]
        model = self._models.pop(metadata["uid"], None)
        if model is None or model.metadata.resource_version != metadata["resourceVersion"]:
            model = StarProcessing.model_validate(stored)
        self._remember(metadata["uid"], model)
        return model

    def written(self, before: StarProcessing, status: StarProcessingStatus, document: Document) -> None:
        """The API server has stored `status` and nothing else, as `document`, where `before` was."""
        metadata = before.metadata.model_copy(update={"resource_version": document["metadata"]["resourceVersion"]})
        model = before.model_copy(update={"metadata": metadata, "status": status})
        self._remember(document["metadata"]["uid"], model)

    def _remember(self, uid: str, model: StarProcessing) -> None:
        self._models.pop(uid, None)
        if model.status.state is not StarState.RUNNING:
            return  # it waits or is at rest, and there are many of them
        self._models[uid] = model
        if len(self._models) > self._remembered:
            del self._models[next(iter(self._models))]
