"""What runs in a StarCatalogue's pod: a campaign's products become tables, one row per star.

`order` and `report` are what it hears from the operator and tells it, and need the standard library alone. The rest
needs numpy, h5py and astropy, which only its own image has. It takes over from the stager how a manifest is read and
how a folder is put into place.
"""
