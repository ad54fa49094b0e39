"""Plugins of every run, of `tests` and of `e2e/tests`."""

pytest_plugins = ["tests.running.alone", "tests.running.order", "tests.running.times"]
