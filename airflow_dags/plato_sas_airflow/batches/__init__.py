"""A batch of stars, from its first request to its result."""
