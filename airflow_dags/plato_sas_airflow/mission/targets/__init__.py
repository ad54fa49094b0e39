"""Target lists: the stars of a campaign, read from a file, checked row by row and split into batches.

`tables` reads CSV, VOTable, FITS and ECSV into rows; `validation` checks the rows; `planning` makes batches of them;
`files` reads and writes files. Only `files` uses Airflow, and only `tables` uses astropy, which it imports if a list
needs it.
"""
