"""Stars as models: each version of a running StarProcessing is validated only once."""

from plato_sas.api import Document, StarProcessing, StarProcessingStatus, StarState

_REMEMBERED = 4096  # about as many as stars have Jobs at the same time; a model takes about 15 KiB


class ParsedStars:
    """The most recently used models of stars."""

    def __init__(self, remembered: int = _REMEMBERED) -> None:
        self._remembered = remembered
        self._models: dict[str, StarProcessing] = {}  # by uid, the most recently used last

    def of(self, stored: Document) -> StarProcessing:
        """The model of a stored star. Raises pydantic.ValidationError."""
        metadata = stored["metadata"]
        model = self._models.pop(metadata["uid"], None)
        if model is None or model.metadata.resource_version != metadata["resourceVersion"]:
            model = StarProcessing.model_validate(stored)
        self._remember(metadata["uid"], model)
        return model

    def written(self, before: StarProcessing, status: StarProcessingStatus, document: Document) -> None:
        """Remember that the API server has stored `status`, and no other change, over `before` as `document`."""
        metadata = before.metadata.model_copy(update={"resource_version": document["metadata"]["resourceVersion"]})
        model = before.model_copy(update={"metadata": metadata, "status": status})
        self._remember(document["metadata"]["uid"], model)

    def _remember(self, uid: str, model: StarProcessing) -> None:
        self._models.pop(uid, None)
        if model.status.state is not StarState.RUNNING:
            return  # it waits or is at rest, as most stars do
        self._models[uid] = model
        if len(self._models) > self._remembered:
            del self._models[next(iter(self._models))]
