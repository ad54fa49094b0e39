"""The operator of a single star."""

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from airflow.sdk import BaseOperatorLink

from plato_sas_airflow.batches.batch import resource_name
from plato_sas_airflow.batches.results import BatchResult
from plato_sas_airflow.errors import BatchError
from plato_sas_airflow.links.star_processing import CampaignLink, ProductsLink
from plato_sas_airflow.operators.arguments import check, namespace_of
from plato_sas_airflow.operators.star_batch import StarBatchOperator
from plato_sas_airflow.stars.star import Star
from plato_sas_airflow.stars.values import inputs_of, text_of

_OF_A_BATCH = ("stars", "stars_file", "stars_column", "star_slice", "max_failed_fraction")


class StarProcessingOperator(StarBatchOperator):
    """Processes one star: a StarBatchOperator of one, with the star's own results.

    It returns (XCom `return_value`, pushed also if it fails): `star`, `name` (of the resource), `campaign`, `state`;
    `step`, `exit_code`, `reason` and `message` of a failure; `steps` (step to state) and `facts` (step to what its
    module reported), if the resource still exists.

    For many stars use StarBatchOperator: Airflow is not made for thousands of tasks with one star each.

    :param star: name of the star.
    :param inputs: per external product of the pipeline, its `path` below the inputs volume, its `sha256`, or both; or
        this as JSON text.

    The other parameters are those of StarBatchOperator, except its stars and `max_failed_fraction`.
    """

    template_fields: Sequence[str] = (
        "star",
        "inputs",
        *(name for name in StarBatchOperator.template_fields if name not in _OF_A_BATCH),
    )
    operator_extra_links: Collection[BaseOperatorLink] = (ProductsLink(), CampaignLink())

    def __init__(
        self, *, star: str, inputs: Mapping[str, Mapping[str, Any]] | str | None = None, **kwargs: Any
    ) -> None:
        unknown = [name for name in _OF_A_BATCH if name in kwargs]
        if unknown:
            raise BatchError(f"{', '.join(unknown)}: only for a StarBatchOperator")
        self.star = star
        self.inputs = inputs
        super().__init__(**kwargs)

    def check_arguments(self) -> None:
        check(self)

    def stars_to_process(self) -> list[Star]:
        return [Star(text_of("star", self.star), inputs=inputs_of("inputs", self.inputs))]

    def content(self, result: BatchResult) -> dict[str, Any]:
        from plato_sas_airflow.hooks.star_processing import StarProcessingHook

        name = resource_name(self.star, self.campaign)
        found = StarProcessingHook(self.kubernetes_conn_id).get(name, namespace_of(self))
        status = (found or {}).get("status") or {}
        failure = next(iter(result.failures), None)
        state = status.get("state", "Unknown") if result.timed_out else "Succeeded"
        return {
            "star": self.star,
            "name": name,
            "campaign": self.campaign,
            "state": failure.state if failure else state,
            "step": failure.step if failure else None,
            "exit_code": failure.exit_code if failure else None,
            "reason": failure.reason if failure else None,
            "message": failure.message if failure else None,
            "steps": {step["name"]: step.get("state") for step in status.get("steps") or []},
            "facts": status.get("facts") or {},
        }

    def link_values(self) -> dict[str, str]:
        return {**super().link_values(), "star": self.star, "name": resource_name(self.star, self.campaign)}
