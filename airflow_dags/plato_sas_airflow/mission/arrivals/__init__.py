"""The trigger of the baseline (PLATO-LESIA-PSPM-DD-0021): which stars have everything that they need to start.

A star is ready when its merged light curve has arrived and the exoplanet system has set its transit flag; if the flag
is true, its transit removal kit must have arrived as well.
"""
