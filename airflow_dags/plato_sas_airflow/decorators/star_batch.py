"""`@task.star_batch`: a function returns stars, and the task processes them."""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, ClassVar

from airflow.sdk import Context
from airflow.sdk.bases.decorator import DecoratedOperator, TaskDecorator, determine_kwargs, task_decorator_factory
from airflow.sdk.definitions._internal.types import SET_DURING_EXECUTION
from airflow.sdk.definitions.context import context_merge

from plato_sas_airflow.operators.star_batch import StarBatchOperator


class _StarBatchDecoratedOperator(DecoratedOperator, StarBatchOperator):
    """A StarBatchOperator that takes its `stars` from a function: names, or what `star_spec` returns."""

    template_fields: Sequence[str] = (*DecoratedOperator.template_fields, *StarBatchOperator.template_fields)
    template_fields_renderers: ClassVar[dict[str, str]] = {
        **DecoratedOperator.template_fields_renderers,
        **StarBatchOperator.template_fields_renderers,
    }
    custom_operator_name: str = "@task.star_batch"
    # The stars are known only once the task has run; its page then shows them.
    overwrite_rtif_after_execution: bool = True

    def __init__(
        self,
        *,
        python_callable: Callable[..., Any],
        op_args: Collection[Any] | None = None,
        op_kwargs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            python_callable=python_callable,
            op_args=op_args,
            op_kwargs=op_kwargs,
            stars=SET_DURING_EXECUTION,
            **kwargs,
        )

    def execute(self, context: Context) -> Any:
        context_merge(context, self.op_kwargs)
        kwargs = determine_kwargs(self.python_callable, self.op_args, context)
        self.stars = self.python_callable(*self.op_args, **kwargs)
        return StarBatchOperator.execute(self, context)


def star_batch_task(python_callable: Callable[..., Any] | None = None, **kwargs: Any) -> TaskDecorator:
    """`@task.star_batch(campaign=..., pipeline=..., ...)`.

    The function returns stars; the other parameters are those of StarBatchOperator.
    """
    return task_decorator_factory(
        python_callable=python_callable, decorated_operator_class=_StarBatchDecoratedOperator, **kwargs
    )
