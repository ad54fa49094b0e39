"""Ports of the loopback address."""

import socket

HOST = "127.0.0.1"


def free_port(preferred: int = 0) -> int:
    """`preferred` if nothing listens there on the loopback address, else a free one. Raises OSError."""
    for candidate in (preferred, 0) if preferred else (0,):
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                listener.bind((HOST, candidate))
            except OSError:
                continue
            return int(listener.getsockname()[1])
    raise OSError(f"no free port on {HOST}")
