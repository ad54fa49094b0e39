"""The API server: client, back-off, watches; what a resource's status says for certain."""
