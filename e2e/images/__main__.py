"""Command line of the image builder."""

import argparse
import os
import shutil
import signal
import sys

from e2e.images import index
from e2e.images.buildah import unmount_below
from e2e.images.builder import Builder, exclusive_build
from e2e.images.engine import choose
from e2e.images.sources import Image, find
from e2e.layout import LOCAL, REPOSITORY
from e2e.processes.command import CommandFailed

FOLDER = LOCAL / "images"


def main(arguments: list[str]) -> int:
    """Run one command; returns the exit code."""
    options = _parser().parse_args(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        match options.command:
            case "build":
                build(options.names, options.engine, options.jobs)
            case "list":
                list_images(find())
            case "archives":
                list_archives(options.names)
            case "clean":
                clean(options.engine, everything=options.all)
    except (CommandFailed, ValueError) as error:
        print(f"e2e.images: error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("e2e.images: stopped", file=sys.stderr)
        return 130
    return 0


def build(names: list[str], engine: str, jobs: int) -> dict[str, index.Entry]:
    """Build the named images (all if none is named) where they are out of date; returns the index."""
    images = find()
    chosen = names or [name for name, image in images.items() if not image.base]
    builder = Builder(images, choose(engine, FOLDER), FOLDER, _report)
    return builder.build(chosen, jobs)


def list_images(images: dict[str, Image]) -> None:
    """Print every image, its Dockerfile and its archive."""
    entries = index.read(FOLDER / "index.json")
    for name, image in images.items():
        entry = entries.get(name)
        state = "base" if image.base else entry.archive if entry else "not built"
        dockerfile = os.path.relpath(image.dockerfile, REPOSITORY)
        print(f"{image.reference:45} {dockerfile:40} {state}")


def list_archives(names: list[str]) -> None:
    """Print the paths of the archives, one a line. Raises `ValueError` on an image that was not built."""
    entries = index.read(FOLDER / "index.json")
    for name in names or sorted(entries):
        if name not in entries or not (FOLDER / entries[name].archive).is_file():
            raise ValueError(f"{name}: not built (run: python -m e2e.images build {name})")
        print(FOLDER / entries[name].archive)


def clean(engine: str, *, everything: bool) -> None:
    """Remove what crashed builds left; with `everything` also archives, caches and the engine's storage."""
    with exclusive_build(FOLDER, _report):
        choose(engine, FOLDER).clean()
        if everything:
            unmount_below(FOLDER)
            for path in FOLDER.iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
                elif path.name != "lock":
                    path.unlink()


def _report(text: str) -> None:
    print(text, flush=True)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m e2e.images", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    engine = argparse.ArgumentParser(add_help=False)
    engine.add_argument(
        "--engine",
        choices=["auto", "docker", "buildah"],
        default="auto",
        help="default: docker if it answers",
    )
    command = commands.add_parser("build", parents=[engine], help="build the images that are out of date")
    command.add_argument("names", nargs="*", metavar="NAME", help="image names; default: all")
    command.add_argument("--jobs", type=int, default=2, help="images built at once (default 2)")
    commands.add_parser("list", help="list the images")
    command = commands.add_parser("archives", help="print the archives' paths, for loading into a cluster")
    command.add_argument("names", nargs="*", metavar="NAME", help="image names; default: all that are built")
    command = commands.add_parser("clean", parents=[engine], help="remove what crashed builds left behind")
    command.add_argument("--all", action="store_true", help="also remove archives, caches and storage")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
