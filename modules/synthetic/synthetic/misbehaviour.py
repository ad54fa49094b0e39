"""What a module should not do, done on demand and within bounds."""

import os
import time

from synthetic.contract import Refused, Run

_SIGTERM, _SIGSEGV = 15, 11
_MOST_ALIVE = 64
_LINE = b"x" * 1023 + b"\n"
WROTE_OUTSIDE = 9
FOUND = 10  # what another star has made


def heed_sigterm(ignore: bool) -> None:
    """End at once on SIGTERM, or not at all; the first process of a container gets no default action."""
    from _signal import SIG_IGN, signal

    signal(_SIGTERM, SIG_IGN if ignore else lambda number, _frame: os._exit(128 + number))


def print_lines(mib: int) -> None:
    """So many MiB to standard error, in lines of 1024 bytes: one stream keeps its order, two do not."""
    block = _LINE * 1024
    for _ in range(_bounded("print_mib", mib, 2048)):
        rest = memoryview(block)
        while rest:
            rest = rest[os.write(2, rest) :]


def write_outside(run: Run) -> bool:
    """Try to change what is not the step's own; says what came of each try, and whether any try went through."""
    folders = [run.root, f"{run.root}/in", f"{run.root}/out/../other-step"]
    files = [f"{run.root}/params.json", *(f"{run.root}/in/{name}" for name in run.inputs)]
    if run.root == "/sas":  # not where a test runs this on its own machine
        folders += ["/", "/opt/module", "/etc", "/usr/lib", "/var", "/dev", "/proc/sys/kernel", "/sys"]
        files += ["/etc/passwd", "/opt/module/run.py"]
    tries = [(f"{folder}/written-outside", _create) for folder in folders]
    tries += [(path, act) for path in files for act in (_append, _change_mode, _remove)]
    written = False
    for path, act in tries:
        try:
            act(path)
        except OSError as error:
            outcome = f"refused: {error.strerror}"
        else:
            outcome, written = "WRITTEN", True
        print(f"outside: {act.__name__[1:]} {path}: {outcome}", flush=True)
    return written


def _create(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL))


def _append(path: str) -> None:
    os.close(os.open(path, os.O_WRONLY | os.O_APPEND))


def _change_mode(path: str) -> None:
    os.chmod(path, 0o600)


def _remove(path: str) -> None:
    os.unlink(path)


def leave_children(count: int) -> None:
    """Processes that outlive this one, deaf to SIGTERM, for an hour at most."""
    for _ in range(_bounded("children", count, _MOST_ALIVE)):
        if os.fork() == 0:
            heed_sigterm(ignore=True)
            time.sleep(3600)
            os._exit(0)


def fork_burst(count: int) -> None:
    """So many processes that end at once, at most 64 of them alive; a refused fork waits for one to end."""
    alive = refused = 0
    for _ in range(_bounded("fork_burst", count, 20_000)):
        while True:
            try:
                child = os.fork()
                break
            except BlockingIOError as error:
                refused += 1
                if alive == 0:
                    raise Refused(f"fork_burst: not even one process: {error.strerror}", 3) from None
                os.wait()
                alive -= 1
        if child == 0:
            os._exit(0)
        alive += 1
        if alive == _MOST_ALIVE:
            os.wait()
            alive -= 1
    for _ in range(alive):
        os.wait()
    if count:
        print(f"fork_burst: {count} processes, {refused} times refused", flush=True)


def fill_scratch(mib: int) -> None:
    """A file with a name in /tmp: the kubelet counts what it finds in the folder."""
    if not mib:
        return
    with open(f"/tmp/synthetic-{os.getpid()}", "wb", buffering=0) as file:  # noqa: S108 - the scratch of the contract
        for _ in range(mib):
            file.write(bytes(1 << 20))


def hoard(mib: int) -> bytearray:
    """Memory that is really there."""
    memory = bytearray(mib << 20)
    memory[::4096] = b"x" * len(memory[::4096])
    return memory


def wait(seconds: float, forever: bool) -> None:
    """Sleep for a time, or until somebody ends it."""
    if seconds > 0:
        time.sleep(seconds)
    while forever:
        time.sleep(3600)


def write_files(run: Run, count: int) -> None:
    """Files that nobody has declared, in the output folder."""
    for number in range(1, _bounded("write_files", count, 200_000) + 1):
        descriptor = os.open(f"{run.root}/out/extra-{number:06d}", os.O_WRONLY | os.O_CREAT, 0o644)
        os.write(descriptor, b"extra\n")
        os.close(descriptor)


def fail(run: Run) -> int:
    """The exit code of an attempt that is to fail, 0 for one that is not; does not return from a signal."""
    code, number = run.integer("exit_code"), run.integer("exit_signal")
    if not (code or number) or run.attempt > run.integer("failures", 1_000_000):
        return 0
    if number == _SIGSEGV:
        import ctypes

        ctypes.string_at(0)
    if number and os.getpid() != 1:
        from _signal import SIG_DFL, signal

        if number not in (9, 19):
            signal(number, SIG_DFL)
        os.kill(os.getpid(), number)
    # The kernel spares the first process of a container; an init would say it with this code.
    return 128 + number if number else code


def _bounded(name: str, value: int, most: int) -> int:
    if not 0 <= value <= most:
        raise Refused(f"params.json: {name}: {value} is not between 0 and {most}", 4)
    return value
