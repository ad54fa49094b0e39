"""Stage the repository's Markdown for `make docs`, with what it links to, so that every relative link works.

Pages keep their paths. A Mermaid block becomes an SVG, so that the site needs no script from elsewhere.
"""

import re
import shutil
import subprocess
from pathlib import Path

from mmdr import Diagram

REPOSITORY = Path(__file__).resolve().parents[2]
STAGED = REPOSITORY / ".local" / "docs"
SCRIPTS = Path("docs", "site")
_MERMAID = re.compile(r"^```mermaid\n(?P<diagram>.*?)^```$", re.MULTILINE | re.DOTALL)
_FENCE = re.compile(r"^```.*?^```$|`[^`\n]*`", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"\]\((?P<path>[^)#\s]+)(?:#[^)\s]*)?\)")


def pages() -> list[Path]:
    """The Markdown files that git knows or would add, outside of folders that begin with a dot."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=True).stdout
    return [Path(line) for line in listed.splitlines() if not line.startswith(".")]


def linked(page: Path, text: str) -> set[Path]:
    """The repository's files, other than pages, that a page links to or shows."""
    targets = {found["path"] for found in _LINK.finditer(_FENCE.sub("", text)) if ":" not in found["path"]}
    files = {(REPOSITORY / page.parent / target).resolve() for target in targets}
    return {file.relative_to(REPOSITORY) for file in files if file.is_file() and file.suffix != ".md"}


def drawn(page: Path, text: str) -> str:
    """The page with a picture in place of each diagram; writes the pictures beside it."""

    def picture(found: re.Match[str]) -> str:
        file = STAGED / page.parent / f"{page.stem}-{found.start()}.svg"
        file.write_text(Diagram(found["diagram"]).svg())
        return f"![Diagram]({file.name})"

    return _MERMAID.sub(picture, text)


def main() -> None:
    shutil.rmtree(STAGED, ignore_errors=True)
    for page in pages():
        text = (REPOSITORY / page).read_text()
        (STAGED / page).parent.mkdir(parents=True, exist_ok=True)
        (STAGED / page).write_text(drawn(page, text))
        for file in linked(page, text):
            (STAGED / file).parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(REPOSITORY / file, STAGED / file)
    shutil.copytree(REPOSITORY / SCRIPTS, STAGED / SCRIPTS, ignore=shutil.ignore_patterns("*.py"))


if __name__ == "__main__":
    main()
