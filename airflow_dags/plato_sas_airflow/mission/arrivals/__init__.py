"""The baseline's trigger (PLATO-LESIA-PSPM-DD-0021): which stars have all that their processing begins with.

A star may begin when its merged light curve is there and the exoplanet system has set its transit flag; where the flag
is true, when its transit removal kit is there as well.
"""
