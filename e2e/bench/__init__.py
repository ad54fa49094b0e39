"""Benchmarks on the test platform: `python -m e2e.bench [NAME...]`.

Each module that is named in `__main__.BENCHMARKS` measures one thing, sets it beside something measured in the same
run, and writes `.local/bench/<name>.json`.
"""
