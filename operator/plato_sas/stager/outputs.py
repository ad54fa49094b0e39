"""What a module left in /sas/out: declared outputs, and undeclared files."""

import os
from pathlib import Path

from plato_sas.stager.description import StepDescription
from plato_sas.stager.facts import FACTS
from plato_sas.stager.files import NotAFile, open_regular, sha256
from plato_sas.stager.manifest import MANIFEST, PublishedFile
from plato_sas.stager.messages import Problem
from plato_sas.stager.removing import remove

Outputs = dict[str, PublishedFile]

_NAMED = 5


def take_outputs(step: StepDescription, folder: Path, max_size: int | None) -> tuple[Outputs, list[str]]:
    """The declared outputs that exist, made durable and read-only, and the absent optional ones.

    `max_size` is the limit of an output that has none of its own. Raises Problem, naming the output, or OSError.
    """
    found: Outputs = {}
    missing: list[str] = []
    for output in step.outputs:
        where = f"step {step.name}: output {output.name}: /sas/out"
        try:
            descriptor = open_regular(folder / output.path)
        except FileNotFoundError:
            if output.optional:
                missing.append(output.name)
                continue
            ended = "although the module ended with exit code 0"
            message = f"{where}/{output.path} does not exist, {ended}; {_contents(folder)}"
            raise Problem(step.name, "OutputMissing", message) from None
        except NotAFile as error:
            raise Problem(step.name, "OutputInvalid", f"{where}/{error}") from None
        with open(descriptor, "rb") as file:
            size, names = os.fstat(file.fileno()).st_size, os.fstat(file.fileno()).st_nlink
            if names != 1:
                # Through its other name a published product could be changed.
                message = f"{where}/{output.path} is a hard link: the file has {names} names"
                raise Problem(step.name, "OutputInvalid", message)
            if size == 0:
                raise Problem(step.name, "OutputInvalid", f"{where}/{output.path} is empty")
            limit = max_size if output.max_size is None else output.max_size
            if limit is not None and size > limit:  # before it is read: a sparse file costs nothing to make
                message = f"{where}/{output.path} has {size} bytes, more than the {limit} that it may have"
                raise Problem(step.name, "OutputTooLarge", message)
            found[output.name] = PublishedFile(output.path, size, sha256(file.fileno()))
            os.fchmod(file.fileno(), 0o444)  # published products do not change
            os.fsync(file.fileno())
    return found, missing


def _contents(folder: Path) -> str:
    """What is there instead, for a message: mostly it shows the mistake."""
    names = sorted(os.listdir(folder))
    if not names:
        return "the folder is empty"
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"the folder has {', '.join(one[:64] for one in names[:_NAMED])}{more}"


def remove_undeclared(step: StepDescription, folder: Path) -> int:
    """Remove undeclared files; returns how many entries there were besides the stager's own."""
    declared = {output.path for output in step.outputs}
    with os.scandir(folder) as entries:
        undeclared = [entry.name for entry in entries if entry.name not in declared]
    for name in undeclared:
        remove(folder / name)
    return sum(name not in (FACTS, MANIFEST) for name in undeclared)
