"""Requests to the API server: the client, the kinds, patches, the Lease and Events."""
