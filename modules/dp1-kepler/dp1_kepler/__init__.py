"""Writes the Level-1 light curves of four Kepler stars in the layout of the inputs volume."""
