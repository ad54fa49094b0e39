"""The shell around the plan: watches, one work queue, the API server.

Level-triggered. kopf's event handlers (`handlers`) only keep the `view` and mark a star's key dirty; workers take
keys from the `queue` and run `reconcile`: observe, decide, act, one status patch.
"""
