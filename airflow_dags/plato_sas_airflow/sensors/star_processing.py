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
    """Waits until one star, or every star of a label selector, has reached a state; creates and cancels nothing.

    The sensor also waits for stars that do not exist yet. It fails if a star is deleted before it has reached the
    state, or reaches one of `failed_states`. It returns (XCom `return_value`): `stars`, the number of stars, and
    `states`, the number in each state.

    It succeeds as soon as all stars that match the selector have reached the state: set `minimum` if more will come.

    :param star: a star, together with `campaign`; or
    :param name: the name of a StarProcessing; or
    :param label_selector: such as `plato-sas.io/campaign=q1`.
    :param minimum: the least number of stars.
    :param step: wait for this step's state instead of the star's.
    :param allowed_states: the states to wait for; by default `Succeeded`, and for a step also `Reused`. For any final
        state: `["Succeeded", "Failed", "Cancelled"]`.
    :param failed_states: states after which waiting is useless; by default the other final states. `Rejected` is not
        among them, since such a star runs once its pipeline is corrected.
    :param namespace: where the stars are; by default the connection's.
    :param kubernetes_conn_id: connection of the type `kubernetes` or `plato_sas`.
    :param deferrable: wait in the triggerer. False: look every `poke_interval` seconds, in `mode` `poke` or
        `reschedule`.
    :param report_seconds: interval between log lines with the counts, while deferred.

    In the mode `reschedule` each look is a new process that does not know the stars seen before: set `minimum`.

    `timeout`, `soft_fail` and the rest are as for every sensor. Raises BatchError, while the DAG is parsed, for
    arguments that are not valid.
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
            raise BatchError("star, name, label_selector: give exactly one of them")
        if (star is None) != (campaign is None):
            raise BatchError("star, campaign: give both or neither")
        check(self, only_texts=("star", "campaign", "timeout"))
        self.goal()

    def goal(self) -> Goal:
        """The state to wait for. Raises BatchError."""
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
        """Called by Airflow with the trigger's event."""
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
            raise AirflowFailException(f"The state can no longer be reached: {event['problem']}")
        return {"stars": event["stars"], "states": event["states"]}

    def _target(self) -> tuple[str | None, str]:
        """Name and label selector; only one of them is set."""
        if self.label_selector is not None:
            return None, self.label_selector
        return self.name or resource_name(str(self.star), str(self.campaign)), ""
