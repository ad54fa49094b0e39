"""MSAP5-12: mass, radius and age from seismic scaling relations."""

NAME = "msap5-12"
VERSION = "0.1.0"
