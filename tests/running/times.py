"""The report at the end of a run: seconds by file. The slowest tests are pytest's own report."""

import json
from collections import defaultdict

import pytest

from tests.running.order import MEASURED, file_of

_SHOWN_SECONDS = 1.0
_RECORDED_SECONDS = 2.0


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption(
        "--record-seconds",
        action="store_true",
        help="write each file's seconds to seconds.json, which orders later runs",
    )


class Times:
    """Sums up what setting up, calling and tearing down took."""

    def __init__(self, record: bool) -> None:
        self._record = record
        self._seconds: dict[str, float] = defaultdict(float)

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        self._seconds[file_of(report.nodeid)] += report.duration

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        slowest = sorted(self._seconds.items(), key=lambda item: -item[1])
        shown = [(file, seconds) for file, seconds in slowest if seconds >= _SHOWN_SECONDS]
        if not shown:
            return
        terminalreporter.write_sep("=", "seconds by file")
        for file, seconds in shown:
            terminalreporter.write_line(f"{seconds:8.1f}  {file}")
        terminalreporter.write_line(f"{sum(self._seconds.values()):8.1f}  all, one after the other")
        if self._record:
            kept = {file: round(seconds) for file, seconds in sorted(shown) if seconds >= _RECORDED_SECONDS}
            MEASURED.write_text(json.dumps(kept, indent=1) + "\n")


def pytest_configure(config: pytest.Config) -> None:
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Times(config.getoption("record_seconds")), "seconds-by-file")
