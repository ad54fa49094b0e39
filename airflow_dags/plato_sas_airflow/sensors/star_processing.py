"""The sensor: waits for stars that something else processes."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseSensorOperator, Context, PokeReturnValue
from airflow.sdk.exceptions import AirflowFailException

from plato_sas_airflow.batches.batch import resource_name
from plato_sas_airflow.batches.goal import Goal, Reaching
from plato_sas_airflow.errors import BatchError
from plato_sas_airflow.operators.arguments import check, namespace_of
from plato_sas_airflow.settings import DEFAULT_CONNECTION
from plato_sas_airflow.stars.values import optional_text


class StarProcessingSensor(BaseSensorOperator):
    """Waits until one star, or every star of a label selector, has come to a state; creates and cancels nothing.

    A star that is not there yet is waited for. One that is deleted after it was seen, and had not come to the state,
    makes the sensor fail, and so does one that has come to a state of `failed_states`. What it returns (XCom
    `return_value`): `stars`, how many there are, and `states`, how many are in each state.

    The stars of the selector are those that are there when all of them have come to the state: give `minimum` where it
    is known how many will come.

    :param star: a star, together with `campaign`; or
    :param name: the name of a StarProcessing; or
    :param label_selector: such as `plato-sas.io/campaign=q1`.
    :param minimum: at least so many stars must be there.
    :param step: wait for this step's state instead of the star's.
    :param allowed_states: what is waited for. `Succeeded` by default; of a step also `Reused`. For any end:
        `["Succeeded", "Failed", "Cancelled"]`.
    :param failed_states: states after which there is no use in waiting; by default the other ends. `Rejected` is not
        among them: such a star runs when its pipeline is mended.
    :param namespace: where the stars are; by default the connection's.
    :param kubernetes_conn_id: connection of the type `kubernetes` or `plato_sas`.
    :param deferrable: wait in the triggerer. False: look every `poke_interval` seconds, in `mode` `poke` or
        `reschedule`.
    :param report_seconds: the counts are logged so often while it is deferred.

    In the mode `reschedule` each look is a new process, which does not know what was there before: give `minimum`.

    `timeout`, `soft_fail` and the rest are as for every sensor. Raises BatchError, while the DAG is parsed, for
    arguments that cannot be right.
    """

    template_fields: Sequence[str] = (
        "star",
        "campaign",
        "name",
        "label_selector",
        "step",
        "namespace",
        "kubernetes_conn_id",
    )
    ui_color = "#dce6f5"

    def __init__(
        self,
        *,
        star: str | None = None,
        campaign: str | None = None,
        name: str | None = None,
        label_selector: str | None = None,
        minimum: int = 1,
        step: str | None = None,
        allowed_states: Sequence[str] | None = None,
        failed_states: Sequence[str] | None = None,
        namespace: str | None = None,
        kubernetes_conn_id: str = DEFAULT_CONNECTION,
        deferrable: bool = True,
        report_seconds: float = 60.0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.star = star
        self.campaign = campaign
        self.name = name
        self.label_selector = label_selector
        self.minimum = minimum
        self.step = step
        self.allowed_states = allowed_states
        self.failed_states = failed_states
        self.namespace = namespace
        self.kubernetes_conn_id = kubernetes_conn_id
        self.deferrable = deferrable
        self.report_seconds = report_seconds
        self._seen: Reaching | None = None
        if sum(one is not None for one in (star, name, label_selector)) != 1:
            raise BatchError("star, name, label_selector: exactly one of them is wanted")
        if (star is None) != (campaign is None):
            raise BatchError("star, campaign: one does not go without the other")
        check(self, but=("star", "campaign", "timeout"))
        self.goal()

    def goal(self) -> Goal:
        """What is waited for. Raises BatchError."""
        return Goal.of(optional_text("step", self.step), self.allowed_states, self.failed_states, self.minimum)

    def execute(self, context: Context) -> Any:
        if not self.deferrable:
            return super().execute(context)
        from plato_sas_airflow.triggers.star_state import StarStateTrigger

        name, selector = self._target()
        trigger = StarStateTrigger(
            namespace_of(self),
            self.goal().serialize(),
            self.kubernetes_conn_id,
            name,
            selector,
            self.report_seconds,
        )
        self.defer(trigger=trigger, method_name="execute_complete", timeout=timedelta(seconds=self.timeout))
        raise AssertionError("unreachable: defer() raises")

    def execute_complete(self, context: Context, event: dict[str, Any]) -> dict[str, Any]:  # noqa: ARG002
        """Called by Airflow with what the trigger fired."""
        return self._conclude(event)

    def poke(self, context: Context) -> PokeReturnValue:  # noqa: ARG002
        from plato_sas_airflow.hooks.star_processing import StarProcessingHook

        name, selector = self._target()
        hook, namespace = StarProcessingHook(self.kubernetes_conn_id), namespace_of(self)
        if name is None:
            found = hook.select(namespace, selector)
        else:
            one = hook.get(name, namespace)
            found = [] if one is None else [one]
        if self._seen is None:
            self._seen = Reaching(self.goal())
        for resource in found:
            self._seen.observe(resource)
        self._seen.missing({resource["metadata"]["name"] for resource in found})
        self.log.info("%d stars: %s", len(found), self._seen.counts())
        if not self._seen.done:
            return PokeReturnValue(is_done=False)
        return PokeReturnValue(is_done=True, xcom_value=self._conclude(self._seen.event()))

    def _conclude(self, event: dict[str, Any]) -> dict[str, Any]:
        if event["problem"]:
            raise AirflowFailException(f"What is waited for cannot come any more: {event['problem']}")
        return {"stars": event["stars"], "states": event["states"]}

    def _target(self) -> tuple[str | None, str]:
        """Name and selector; one of them says nothing."""
        if self.label_selector is not None:
            return None, self.label_selector
        return self.name or resource_name(str(self.star), str(self.campaign)), ""
