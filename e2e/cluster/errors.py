"""What can go wrong with the cluster."""


class ClusterError(Exception):
    """The cluster cannot do what was asked; the message says why and what to do."""
