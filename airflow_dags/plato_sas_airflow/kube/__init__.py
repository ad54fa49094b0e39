"""The Kubernetes API: client, back-off, watches, names, and how the status of a resource is read."""
