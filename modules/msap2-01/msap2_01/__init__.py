"""MSAP2-01: the surface gravity handed to spectroscopy, seismic where the star oscillates."""

NAME = "msap2-01"
VERSION = "0.1.0"
