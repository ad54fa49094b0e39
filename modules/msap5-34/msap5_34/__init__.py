"""MSAP5-34: which mass, radius and age become the star's DP5 products."""

NAME = "msap5-34"
VERSION = "0.1.0"
