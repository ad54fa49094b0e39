"""A synthetic module: no science. It behaves as its arguments and parameters say, for tests and benchmarks.

Its start is most of its run, so it imports only what the interpreter has built in, the rest where it is needed.
"""

VERSION = "0.1.0"
