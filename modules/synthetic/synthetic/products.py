"""Outputs and facts: small, and the same whenever star, step, parameters, seed and inputs are the same."""

from _json import encode_basestring_ascii
from _sha256 import sha256

from synthetic import VERSION
from synthetic.contract import HEADER_SIZE, Run, Value, parse_object
from synthetic.hdf5 import product_file


def write_outputs(run: Run) -> None:
    """Every declared output, then `facts.json`."""
    basis = _basis(run)
    for name in run.arguments.outputs:
        with open(f"{run.root}/out/{name}", "wb", buffering=0) as file:
            file.write(_content(run, basis, name))
    with open(f"{run.root}/out/facts.json", "w", encoding="utf-8") as facts:
        facts.write(_facts(run))


def _basis(run: Run) -> str:
    """All that the content depends on; neither campaign nor attempt, so that a rerun gives the same bytes."""
    lines = [VERSION, run.star, run.step, run.seed]
    lines += [f"{name}={value!r}" for name, value in sorted(run.parameters.items())]
    lines += [f"{name} {digest}" for name, digest in run.inputs.items()]
    return "\n".join(lines)


def _content(run: Run, basis: str, file_name: str) -> bytes:
    ident, _, kind = file_name.rpartition(".")
    digest = sha256(f"{basis}\n{file_name}".encode()).hexdigest()
    origin = {"synthetic": VERSION, "star": run.star, "step": run.step, "product": ident or file_name, "digest": digest}
    header = _object(origin).encode()
    if kind != "h5":
        return header + b"\n"
    centre, unit = run.arguments.values.get(ident, (1.0, ""))
    value = centre * (0.99 + 0.02 * _share(digest))
    attributes = {"SAS_STAR": run.star, "SAS_STEP": run.step, "module": "synthetic", "version": VERSION,
                  "method": "synthetic: no science", "digest": digest}  # fmt: skip
    numbers = {"value": value, "uncertainty": 0.05 * abs(value)}
    return product_file(header.ljust(HEADER_SIZE, b"\0"), ident, numbers, unit, attributes)


def _share(digest: str) -> float:
    """A number from 0 to 1 out of a digest."""
    return int(digest[:12], 16) / 16**12


def _facts(run: Run) -> str:
    """`facts.json`: the declared facts, each drawn for this star, below what the parameter `facts` says."""
    given = str(run.parameters.get("facts", "{}"))
    if not run.arguments.facts:
        return given
    drawn = {name: _draw(run, name, kind) for name, kind in run.arguments.facts.items()}
    return _object(drawn | parse_object(given, "params.json: facts")) + "\n"


def _draw(run: Run, name: str, kind: str) -> Value:
    share = _share(sha256(f"{run.star}\n{run.step}\n{name}".encode()).hexdigest())
    if kind == "boolean":
        return share < float(run.parameters.get("true_share", 1))
    if kind == "integer":
        return int(100 * share)
    return share if kind == "number" else f"synthetic-{int(100 * share)}"


def _object(values: dict[str, Value]) -> str:
    """Flat JSON."""
    return "{" + ", ".join(f"{encode_basestring_ascii(name)}: {_json(value)}" for name, value in values.items()) + "}"


def _json(value: Value) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return encode_basestring_ascii(value) if isinstance(value, str) else repr(value)
