"""Values of parameters: typed, and within the bounds of their declaration."""

from collections.abc import Mapping

from plato_sas.api import ParameterDeclaration, Value, ValueInvalid, typed


def parse_value(declaration: ParameterDeclaration, written: int | str) -> Value:
    """The typed value of a parameter. Raises ValueInvalid."""
    value = typed(declaration.type, written)
    if isinstance(value, int | float) and not isinstance(value, bool):
        if declaration.minimum is not None and value < _bound(declaration, declaration.minimum):
            raise ValueInvalid(f"{written!r} must be at least {declaration.minimum}")
        if declaration.maximum is not None and value > _bound(declaration, declaration.maximum):
            raise ValueInvalid(f"{written!r} must be at most {declaration.maximum}")
    if declaration.enum is not None and value not in declaration.enum:
        raise ValueInvalid(f"{written!r} must be one of {', '.join(declaration.enum)}")
    return value


def _bound(declaration: ParameterDeclaration, written: int | str) -> float:
    value = typed(declaration.type, written)
    assert not isinstance(value, str)
    return value


def resolve(declarations: Mapping[str, ParameterDeclaration], *layers: Mapping[str, int | str]) -> dict[str, Value]:
    """Every declared parameter's value: its default, overridden by each layer in turn. Raises ValueInvalid."""
    written: dict[str, int | str] = {name: one.default for name, one in declarations.items()}
    for layer in layers:
        written |= layer
    return {name: parse_value(declarations[name], value) for name, value in written.items()}
