"""The stars of a batch, from a list or its JSON text, each with fields of its own. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from plato_sas_airflow.errors import BatchError
from plato_sas_airflow.stars.fields import problems
from plato_sas_airflow.stars.values import Parameters, decoded, inputs_of, integer_of, parameters_of, text_of


@dataclass(frozen=True)
class Star:
    """One star of a batch; its own fields take precedence over the batch's."""

    name: str
    parameters: Parameters = field(default_factory=dict)
    inputs: dict[str, dict[str, Any]] = field(default_factory=dict)
    priority: int | None = None

    def serialize(self) -> str | dict[str, Any]:
        """The name, or the spec if the star has fields of its own."""
        spec = self.spec()
        return spec if len(spec) > 1 else self.name

    def spec(self) -> dict[str, Any]:
        """Its own fields of a StarProcessing's spec."""
        own = {"parameters": self.parameters, "inputs": self.inputs, "priority": self.priority}
        return {"star": self.name, **{key: value for key, value in own.items() if value not in ({}, None)}}

    @classmethod
    def deserialize(cls, value: object) -> Self:
        """From a name, or from what `star_spec` returns. Raises BatchError."""
        if isinstance(value, str):
            return cls(value)
        if not isinstance(value, Mapping):
            raise BatchError(f"stars: {value!r} is neither a name nor what star_spec returns")
        unknown = sorted(set(value) - {"star", "parameters", "inputs", "priority"})
        if unknown:
            raise BatchError(f"stars: {value.get('star')!r} has unknown fields: {', '.join(map(str, unknown))}")
        priority = value.get("priority")
        return cls(
            text_of("star", value.get("star")),
            parameters_of("parameters", value.get("parameters")),
            inputs_of("inputs", value.get("inputs")),
            None if priority is None else integer_of("priority", priority),
        )


def star_spec(
    star: str,
    *,
    parameters: Mapping[str, Mapping[str, Any]] | None = None,
    inputs: Mapping[str, Mapping[str, Any]] | None = None,
    priority: int | None = None,
) -> dict[str, Any]:
    """A star with fields of its own, for the `stars` of a StarBatchOperator; a `@task` can return it.

    :param parameters: per step, values of its module's parameters.
    :param inputs: per external product of the pipeline, its `path` below the inputs volume, its `sha256`, or both.
    :param priority: -1000 to 1000.

    Raises BatchError naming the field.
    """
    made = Star.deserialize({"star": star, "parameters": parameters, "inputs": inputs, "priority": priority})
    spec = made.spec()
    found = problems(spec)
    if found:
        raise BatchError(f"star {star!r}: {'; '.join(found)}")
    return spec


def stars_of(value: object) -> list[Star]:
    """The stars of a list, or of its JSON text (as a template renders it).

    An item is a name, or what `star_spec` returns. The same item twice counts once. Raises BatchError.
    """
    if isinstance(value, str):
        try:
            value = decoded("stars", value)
        except BatchError:
            raise BatchError(f"stars: neither a list nor the JSON text of one: {str(value)[:80]!r}") from None
    if not isinstance(value, Iterable) or isinstance(value, str | Mapping):
        raise BatchError(f"stars: expected a list of star identifiers, not {type(value).__name__}")
    return distinct([Star.deserialize(one) for one in value], "stars: the list is empty")


def batch_slices(count: int, size: int) -> list[list[int]]:
    """`[start, stop]` of every batch of at most `size` of `count` stars, as `star_slice` takes them.

    Meant for `StarBatchOperator.partial(stars_file=...).expand(star_slice=...)`. Raises ValueError.
    """
    if count < 0 or size < 1:
        raise ValueError(f"count must be at least 0 and size at least 1, not {count} and {size}")
    return [[start, min(start + size, count)] for start in range(0, count, size)]


def distinct(stars: list[Star], empty: str) -> list[Star]:
    """Each star once; `empty`: the error message for no stars. Raises BatchError."""
    if not stars:
        raise BatchError(empty)
    known: dict[str, Star] = {}
    for star in stars:
        if known.setdefault(star.name, star) != star:
            raise BatchError(f"stars: {star.name!r} is listed twice with different fields")
    return list(known.values())
