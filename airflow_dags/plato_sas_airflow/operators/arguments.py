"""Checks of an operator's arguments while its DAG is parsed.

Templates and other tasks' results are known only when the task runs, and are checked then.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import timedelta
from typing import Any

from plato_sas_airflow.errors import BatchError, listed
from plato_sas_airflow.stars import values
from plato_sas_airflow.stars.fields import problems
from plato_sas_airflow.stars.star import stars_of

_TEMPLATE_MARKS = ("{{", "{%", "{#")

_SPEC_FIELDS: dict[str, tuple[str, Callable[[str, Any], Any]]] = {
    "star": ("star", values.text_of),
    "campaign": ("campaign", values.text_of),
    "pipeline": ("pipeline", values.text_of),
    "parameters": ("parameters", values.parameters_of),
    "inputs": ("inputs", values.inputs_of),
    "previous_campaign": ("previousCampaign", values.optional_text),
    "stages": ("stages", values.optional_text),
    "priority": ("priority", values.integer_of),
    "star_deadline": ("deadline", values.optional_text),
    "star_ttl": ("ttl", values.optional_text),
}
_OTHERS: dict[str, Callable[[str, Any], Any]] = {
    "namespace": values.optional_text,
    "rerun": values.flag_of,
    "rerun_from": values.names_of,
    "failed_stars_path": values.optional_text,
    "stars_file": values.optional_text,
    "stars_column": values.optional_text,
    "star_slice": values.slice_of,
    "max_failed_fraction": values.fraction_of,
    "report_seconds": values.positive_seconds,
    "rejected_after": values.span_of,
    "timeout": values.optional_span,
    "kubernetes_conn_id": values.text_of,
}


def is_known(value: object) -> bool:
    """Whether no part of the value is a template or another task's result."""
    if isinstance(value, str):
        return not any(mark in value for mark in _TEMPLATE_MARKS)
    if isinstance(value, Mapping):
        return all(is_known(one) for one in value.values())
    if isinstance(value, list | tuple | set):
        return all(is_known(one) for one in value)
    return value is None or isinstance(value, int | float | timedelta)


def namespace_of(operator: Any) -> str:
    """The operator's namespace once it is rendered, else its connection's. Raises BatchError."""
    given = values.optional_text("namespace", operator.namespace)
    if given is not None:
        return given
    from plato_sas_airflow.hooks.star_processing import StarProcessingHook

    return StarProcessingHook(operator.kubernetes_conn_id).namespace()


def check_stars(stars: object, stars_file: object) -> None:
    """Raises BatchError unless exactly one of both is given, or if stars are not valid, naming them."""
    if (stars is None) == (stars_file is None):
        raise BatchError("stars, stars_file: give exactly one of them")
    if stars is None or not is_known(stars):
        return
    wrong = [f"star {one.name!r}: {found[0]}" for one in stars_of(stars) if (found := problems(one.spec()))]
    if wrong:
        raise BatchError(listed(wrong))


def check(operator: Any, only_texts: Collection[str] = ()) -> None:
    """Raises BatchError naming the arguments of an operator that are not valid.

    :param only_texts: arguments that are checked only if they are texts.
    """
    found: list[str] = []
    spec: dict[str, Any] = {}
    for name, value in vars(operator).items():
        if not is_known(value) or (name in only_texts and not isinstance(value, str)):
            continue
        try:
            if name in _SPEC_FIELDS:
                field, convert = _SPEC_FIELDS[name]
                converted = convert(name, value)
                if converted is not None:
                    spec[field] = converted
            elif name in _OTHERS:
                _OTHERS[name](name, value)
        except BatchError as error:
            found.append(str(error))
    own_names = {field: name for name, (field, _) in _SPEC_FIELDS.items()}
    for problem in problems(spec):
        field, separator, rest = problem.partition(":")
        head, dot, tail = field.partition(".")
        found.append(f"{own_names.get(head, head)}{dot}{tail}{separator}{rest}")
    if found:
        raise BatchError("; ".join(found))
