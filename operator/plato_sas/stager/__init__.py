"""What runs around the modules inside a stage's pod: stage-in before them, publish after them.

Standard library only: the image holds a Python interpreter and this package. Both read the stage's description
(`description.Stage`), written by `plato_sas.jobs` into stage-in's environment, and speak to the operator through
the container's termination message (`messages`).
"""
