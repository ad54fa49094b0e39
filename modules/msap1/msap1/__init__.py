"""MSAP1: from a Level-1 light curve to the series and spectra that the other modules analyse."""
