"""A pipeline as a graph: its steps, conditions and parameters, and the revision that pins them."""
