"""Stars as models: each version of a running StarProcessing is validated only once."""

from pydantic import ValidationError

from plato_sas.api import Document, StarProcessing, StarProcessingStatus, StarState

_REMEMBERED = 4096  # about as many as stars have Jobs at the same time; a model takes about 15 KiB


class ParsedStars:
    """The most recently used models of stars."""

    def __init__(self, remembered: int = _REMEMBERED) -> None:
        self._remembered = remembered
        self._models: dict[str, StarProcessing] = {}  # by uid, the most recently used last

    def of(self, stored: Document) -> tuple[StarProcessing, tuple[str, ...]]:
        """The model of a stored star, without the fields of its spec that are not valid, and the problems of these.

        Raises pydantic.ValidationError if more than such fields is wrong.
        """
        metadata = stored["metadata"]
        model = self._models.pop(metadata["uid"], None)
        if model is None or model.metadata.resource_version != metadata["resourceVersion"]:
            try:
                model = StarProcessing.model_validate(stored)
            except ValidationError as error:
                return _without_invalid_fields(stored, error)
        self._remember(metadata["uid"], model)
        return model, ()

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


def _without_invalid_fields(stored: Document, error: ValidationError) -> tuple[StarProcessing, tuple[str, ...]]:
    """A star whose spec passed the API server's rules but not the models': it can still be told so, and cancelled."""
    places = [one["loc"] for one in error.errors()]
    if not all(len(place) > 1 and place[0] == "spec" for place in places):
        raise error
    wrong = {place[1] for place in places}
    spec = {name: value for name, value in stored["spec"].items() if name not in wrong}
    model = StarProcessing.model_validate({**stored, "spec": spec})
    return model, tuple(f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
