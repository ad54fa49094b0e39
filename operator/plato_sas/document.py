"""The type of what the API server sends and takes."""

from typing import Any

Document = dict[str, Any]
"""A Kubernetes object, or a part of one, as parsed from JSON."""
