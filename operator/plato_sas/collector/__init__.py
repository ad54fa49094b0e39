"""What runs in a StarCatalogue's pod: a campaign's products become tables, one row per star.

`order` and `report` are its messages from and to the operator, and need only the standard library. The rest needs
numpy, h5py and astropy, which only the collector's image has. Reading manifests and placing folders is the stager's.
"""
