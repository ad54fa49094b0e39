"""The sensor: waits for stars that something else processes."""
