"""MSAP4-03: surface rotation period and photometric activity with star-privateer and ROOSTER."""

NAME = "msap4-03"
VERSION = "0.1.0"
