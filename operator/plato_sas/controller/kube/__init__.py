"""Requests to the API server: client, kinds, patches, statuses, the Lease and Events."""
