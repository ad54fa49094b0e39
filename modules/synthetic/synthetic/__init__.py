"""A synthetic module: no science. It behaves as its parameters say, for tests and benchmarks of the manager."""
