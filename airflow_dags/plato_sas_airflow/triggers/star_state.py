"""The sensor's trigger: waits until stars have reached a state."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from typing import Any

from airflow.triggers.base import TriggerEvent

from plato_sas_airflow.batches.goal import Goal, Reaching
from plato_sas_airflow.hooks.star_processing import StarProcessingHook
from plato_sas_airflow.kube.resource import Resource
from plato_sas_airflow.kube.watching import Observer, Watcher
from plato_sas_airflow.triggers.task import TaskTrigger


class _StateObserver(Observer):
    """Passes what a watch shows to a `Reaching`. `name`: only the resource of this name counts, if given."""

    def __init__(self, reaching: Reaching, selector: str, name: str | None) -> None:
        self._reaching = reaching
        self._selector = selector
        self._name = name

    @property
    def selector(self) -> str:
        return self._selector

    @property
    def done(self) -> bool:
        return self._reaching.done

    def observe(self, resource: Resource) -> None:
        if self._name in (None, resource["metadata"]["name"]):
            self._reaching.observe(resource)

    async def missing(self, listed: set[str]) -> bool:
        self._reaching.missing(listed)
        return False

    async def deleted(self, name: str) -> bool:
        self._reaching.gone(name)
        return False


class StarStateTrigger(TaskTrigger):
    """Watches one star, or those of a label selector; fires once: when the goal is reached, or out of reach.

    :param namespace: where the stars are.
    :param name: name of one StarProcessing, or
    :param selector: a label selector.
    :param goal: what `Goal.serialize` returns.
    :param kubernetes_conn_id: connection of the type `kubernetes` or `plato_sas`.
    :param report_seconds: interval between log lines with the counts.
    """

    def __init__(
        self,
        namespace: str,
        goal: Mapping[str, Any],
        kubernetes_conn_id: str,
        name: str | None = None,
        selector: str = "",
        report_seconds: float = 60.0,
    ) -> None:
        super().__init__(kubernetes_conn_id)
        self.namespace = namespace
        self.goal = Goal.deserialize(goal)
        self.name = name
        self.selector = selector
        self.report_seconds = report_seconds

    def arguments(self) -> dict[str, Any]:
        return {
            "namespace": self.namespace,
            "goal": self.goal.serialize(),
            "name": self.name,
            "selector": self.selector,
            "report_seconds": self.report_seconds,
        }

    async def run(self) -> AsyncIterator[TriggerEvent]:
        reaching = Reaching(self.goal)
        observer = _StateObserver(reaching, self.selector, self.name)
        reporting = asyncio.create_task(self._report(reaching))
        try:
            async with StarProcessingHook(self.kubernetes_conn_id).client() as client:
                fields = f"metadata.name={self.name}" if self.name else ""
                await Watcher(client, self.namespace, observer, self.log, fields=fields).run()
        finally:
            reporting.cancel()
        yield TriggerEvent(reaching.event())  # type: ignore[no-untyped-call]

    async def _report(self, reaching: Reaching) -> None:
        reported: dict[str, int] | None = None
        while True:
            await asyncio.sleep(self.report_seconds)
            if reaching.counts() != reported:
                reported = reaching.counts()
                self.log.info(
                    "Waiting for %s: %s", ", ".join(sorted(self.goal.allowed)), reported or "no star exists yet"
                )
