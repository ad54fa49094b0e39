"""The work queue of one kind, and the workers that take keys from it."""
