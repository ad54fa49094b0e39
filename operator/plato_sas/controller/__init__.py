"""The shell around the plan: watches, work queues, requests to the API server.

Level-triggered. kopf's event handlers (`handlers`) only update the `view` and mark keys dirty; workers take keys from
the queue and reconcile: observe, decide, act, patch the status.
"""
