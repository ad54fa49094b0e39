"""What can go wrong with the cluster."""


class ClusterError(Exception):
    """The cluster cannot do what was asked; the message says why and what to do."""


class ComponentEnded(ClusterError):
    """A component ended when it should have become ready."""

    def __init__(self, component: str, message: str) -> None:
        super().__init__(message)
        self.component = component
