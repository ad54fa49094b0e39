"""Pure: what a star's graph is, whether it is sound, and what to do next. No client, no clock, no kopf."""
