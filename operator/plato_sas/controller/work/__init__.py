"""The queue of what to reconcile, and its workers."""
