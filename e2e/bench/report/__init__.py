"""A result, its file and plots, and docs/benchmarks.md."""
