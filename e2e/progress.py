"""Progress on the terminal: one line a phase, with its seconds."""

import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

_HEARTBEAT_TERMINAL = 1.0
_HEARTBEAT_LOG = 30.0


class Phase:
    """A running phase. `detail` is shown beside its elapsed time."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.detail = ""
        self._started = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._started

    def line(self, state: str = "") -> str:
        elapsed = f"{self.seconds:.1f} s" if self.seconds < 120 else _minutes(self.seconds)
        notes = ", ".join(note for note in (state, self.detail) if note)
        return f"{self.name:<48} {elapsed:>12}" + (f"  ({notes})" if notes else "")


def _minutes(seconds: float) -> str:
    return f"{int(seconds) // 60} min {int(seconds) % 60} s"


@contextmanager
def phase(name: str) -> Iterator[Phase]:
    """Show `name` with its elapsed seconds: live on a terminal, now and then in a log, and one line at its end."""
    running = Phase(name)
    terminal = sys.stderr.isatty()
    done = threading.Event()

    def heartbeat() -> None:
        while not done.wait(_HEARTBEAT_TERMINAL if terminal else _HEARTBEAT_LOG):
            print(running.line("running"), end="\x1b[K\r" if terminal else "\n", file=sys.stderr, flush=True)

    thread = threading.Thread(target=heartbeat, daemon=True)
    thread.start()
    state = "failed"
    try:
        yield running
        state = ""
    finally:
        done.set()
        thread.join()
        print(running.line(state) + ("\x1b[K" if terminal else ""), file=sys.stderr, flush=True)
