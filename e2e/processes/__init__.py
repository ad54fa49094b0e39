"""Processes of this machine: run to the end, kept running, recorded, recognised, ended; locks between commands."""
