"""MSAP3-03: global seismic parameters of a solar-like oscillator with pySYD."""

NAME = "msap3-03"
VERSION = "0.1.0"
