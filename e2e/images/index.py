"""``index.json``: which archive holds which image."""

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path


@dataclass(frozen=True)
class Entry:
    """One image's archive; `digest` is ``sha256:...``, `fingerprint` identifies what it was built from."""

    reference: str
    fingerprint: str
    engine: str
    archive: str
    digest: str


def read(path: Path) -> dict[str, Entry]:
    """Entries by image name; empty if there is no index or it is of another form."""
    try:
        document = json.loads(path.read_bytes())
        return {name: Entry(**entry) for name, entry in document["images"].items()}
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return {}


def write(path: Path, entries: dict[str, Entry]) -> None:
    """Replace the index in one step."""
    document = {"images": {name: asdict(entry) for name, entry in sorted(entries.items())}}
    draft = path.with_suffix(".new")
    draft.write_text(json.dumps(document, indent=1) + "\n")
    os.replace(draft, path)
