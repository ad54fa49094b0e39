"""The API server: client, resources, events, the Lease."""
