"""What the triggers have in common."""

from abc import abstractmethod
from typing import Any

from airflow.triggers.base import BaseTrigger


class TaskTrigger(BaseTrigger):
    """A trigger that is serialized by its class and its arguments.

    :param kubernetes_conn_id: connection of the type `kubernetes` or `plato_sas`.
    """

    def __init__(self, kubernetes_conn_id: str) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.kubernetes_conn_id = kubernetes_conn_id

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """The constructor's arguments as JSON, except the connection."""

    def serialize(self) -> tuple[str, dict[str, Any]]:
        path = f"{type(self).__module__}.{type(self).__qualname__}"
        return path, {**self.arguments(), "kubernetes_conn_id": self.kubernetes_conn_id}
