"""A pipeline as a graph: steps, conditions, parameters, the pinned revision."""
