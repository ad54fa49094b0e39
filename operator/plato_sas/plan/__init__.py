"""Pure functions: build and check a pipeline's graph, and decide what to do next. No client, no clock, no kopf."""
