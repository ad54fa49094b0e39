"""Target lists: the stars of a campaign, read from a file, checked row by row and made into batches.

`tables` reads CSV, VOTable, FITS and ECSV into rows; `validation` says which rows are good; `planning` makes batches of
them; `files` is where files are read and written. Only `files` knows Airflow, and only `tables` astropy, which it
imports when a list needs it.
"""
