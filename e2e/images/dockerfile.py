"""What the builder needs to know about a Dockerfile: what it builds on and which files it copies."""

import json
import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Dockerfile:
    """`bases`: images named by FROM (not stages of this file). `sources`: paths copied from the context."""

    bases: tuple[str, ...]
    sources: tuple[str, ...]


def parse(path: Path) -> Dockerfile:
    """Read a Dockerfile: FROM, COPY and ADD. Raises `ValueError` on a COPY that cannot be followed."""
    bases: list[str] = []
    sources: list[str] = []
    stages: set[str] = set()
    for line in _instructions(path.read_text()):
        keyword, _, rest = line.partition(" ")
        match keyword.upper():
            case "FROM":
                words = [word for word in rest.split() if not word.startswith("--")]
                if words[0] not in stages and words[0] != "scratch":
                    bases.append(words[0])
                if len(words) == 3 and words[1].upper() == "AS":
                    stages.add(words[2])
            case "COPY" | "ADD":
                sources.extend(_sources(path, rest))
    return Dockerfile(tuple(dict.fromkeys(bases)), tuple(dict.fromkeys(sources)))


def _instructions(text: str) -> list[str]:
    lines = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    return [line.strip() for line in "\n".join(lines).replace("\\\n", " ").splitlines() if line.strip()]


def _sources(path: Path, rest: str) -> list[str]:
    words = rest.split()
    while words and words[0].startswith("--"):
        if words.pop(0).startswith("--from="):
            return []
    remainder = " ".join(words)
    names = json.loads(remainder) if remainder.startswith("[") else shlex.split(remainder)
    for name in names[:-1]:
        if "://" in name or "$" in name or name.startswith("/") or ".." in Path(name).parts:
            raise ValueError(f"{path}: cannot follow the source {name!r}: name a path of the build context")
    return list(names[:-1])
