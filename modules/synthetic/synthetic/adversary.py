"""What a module does that wants to read another star's files. Each way is tried on demand and tells what came of it.

`plant` leaves a trap in the output folder for whoever opens the output later: the node, a step of the same pod,
publish, a later stage. `pry` looks for a word in all that the container can reach, by every way out that is known.
"""

import ctypes
import os
import stat
import time
from collections.abc import Callable, Iterator

from synthetic.contract import Refused, Run

_UPWARDS = "../../../../../"  # from an attempt's output folder to the volume's root
_MOST_READ = 1 << 20
_CLONE_NEWNS, _CLONE_NEWUSER = 0x00020000, 0x10000000
_MS_BIND = 4096
_SCRATCH = "/tmp"  # noqa: S108 - of the contract
_SWAPPING_SECONDS = 0.5


def plant(run: Run, way: str) -> None:
    """Replace the first output by a trap that leads to the parameter `target`, a path on the products volume."""
    out = f"{run.root}/out"
    path, target = f"{out}/{run.arguments.outputs[0]}", str(run.parameters.get("target", ""))
    plants = {
        "link": lambda: _link(path, _UPWARDS + target),
        "absolute-link": lambda: _link(path, _on_the_node(out) + target),
        "link-to-folder": lambda: (_link(path, "way"), os.symlink(_UPWARDS + target, f"{out}/way")),
        "link-through-folder": lambda: (os.symlink(_UPWARDS, f"{out}/way"), _link(path, f"way/{target}")),
        "link-to-proc": lambda: _link(path, f"/proc/1/root{_on_the_node(out)}{target}"),
        "hard-link": lambda: _hard_link(run, path),
        "folder": lambda: _replace_folder(out, target),
        "swap": lambda: _swap(path, _UPWARDS + target),
    }
    if way not in plants:
        raise Refused(f"params.json: plant: {way!r} is none of {', '.join(plants)}", 4)
    try:
        plants[way]()
        outcome = "done"
    except OSError as error:
        outcome = f"refused: {error.strerror}"
    print(f"plant: {way}: {outcome}", flush=True)


def _link(path: str, target: str) -> None:
    os.unlink(path)
    os.symlink(target, path)


def _on_the_node(out: str) -> str:
    """The volume's root as the node knows it, with a slash at its end; a container can read it from its mount table."""
    with open("/proc/self/mountinfo") as table:
        mounts = [line.split() for line in table]
    folder = next((fields[3] for fields in mounts if fields[4] == out), "/")
    return folder.partition(".attempts/")[0].rstrip("/").rpartition("/")[0].rpartition("/")[0] + "/"


def _hard_link(run: Run, path: str) -> None:
    """A second name for a file of another mount: first for each input, then for a file of the module's own."""
    os.unlink(path)
    for source in (*(f"{run.root}/in/{name}" for name in run.inputs), f"{run.root}/params.json"):
        try:
            os.link(source, path)
        except OSError as error:
            print(f"plant: hard-link: {source}: refused: {error.strerror}", flush=True)
        else:
            return
    with open(f"{path}.other", "wb") as file:
        file.write(b"x")
    os.link(f"{path}.other", path)


def _replace_folder(out: str, target: str) -> None:
    """The mounted folder itself becomes a link."""
    os.rename(out, f"{out}.aside")
    os.symlink(_UPWARDS + target, out)


def _swap(path: str, target: str) -> None:
    """For a while, and by a child that goes on until it is killed, the file is now a file and now a link."""
    with open(path, "rb") as file:
        content = file.read()
    child = os.fork()
    end = time.monotonic() + _SWAPPING_SECONDS
    while child == 0 or time.monotonic() < end:
        aside = f"{path}.{os.getpid()}"
        os.symlink(target, aside)
        os.rename(aside, path)
        with open(aside, "wb") as file:
            file.write(content)
        os.rename(aside, path)


def pry(run: Run, word: str) -> bool:
    """Whether the word was found in any file that this container can reach."""
    target = str(run.parameters.get("target", ""))
    found = _search(run, word, target, "as it is")
    if run.root != "/sas":  # a test runs this on its own machine
        return found
    libc = ctypes.CDLL(None, use_errno=True)
    out_disk = os.stat(f"{run.root}/out").st_dev
    _try("unshare", lambda: _called(libc.unshare(_CLONE_NEWUSER | _CLONE_NEWNS)))
    _try("mount", lambda: _called(libc.mount(b"/proc/1/root", _SCRATCH.encode(), None, _MS_BIND, None)))
    _try("mknod", lambda: os.mknod(f"{_SCRATCH}/disk", stat.S_IFBLK | 0o600, out_disk))
    return _search(run, word, target, "after mounts") or found


def _search(run: Run, word: str, target: str, when: str) -> bool:
    found = False
    for path in _reachable(run, target):
        try:
            content = _content(path)
        except OSError:
            continue
        if word.encode() in content or os.path.isdir(path):
            print(f"pry: {when}: FOUND in {path}", flush=True)
            found = True
    return found


def _content(path: str) -> bytes:
    """A file's beginning, or a folder's names."""
    if os.path.isdir(path):
        return "\n".join(os.listdir(path)).encode()
    with open(path, "rb", buffering=0) as file:
        return file.read(_MOST_READ)


def _reachable(run: Run, target: str) -> Iterator[str]:
    """Every file below the step's own folders and the scratch, and the target by every way up that there may be."""
    own, out, upstream = (f"{run.root}/{name}" for name in ("params.json", "out", "upstream"))
    for folder, _, names in os.walk(run.root):
        paths = (f"{folder}/{name}" for name in names)
        yield from (path for path in paths if path != own and os.path.isfile(path))
    folders = [out, f"{run.root}/in", upstream]
    if os.path.isdir(upstream):
        for name in os.listdir(upstream):
            folders += [f"{upstream}/{name}", f"{upstream}/{name}/way"]
    if run.root == "/sas":
        folders += [_SCRATCH, "/proc/1/cwd", "/proc/1/root", "/proc/self/root"]
    roots = ["", _on_the_node(out)]
    for folder in folders:
        for depth in range(9):
            yield from (f"{folder}/{'../' * depth}{root}{target}" for root in roots)
        # A descriptor keeps its folder, whatever its path has become.
        try:
            held = os.open(folder, os.O_PATH)
        except OSError:
            continue
        yield from (f"/proc/self/fd/{held}/{'../' * depth}{target}" for depth in range(9))


def _called(result: int) -> None:
    if result:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))


def _try(what: str, act: Callable[[], None]) -> None:
    try:
        act()
        outcome = "WENT THROUGH"
    except OSError as error:
        outcome = f"refused: {error.strerror}"
    print(f"pry: {what}: {outcome}", flush=True)
