"""What runs before and after the modules in a stage's pod: stage-in and publish.

Standard library only: the image contains a Python interpreter and this package. Stage-in reads the stage's description
(`description.Stage`) from its environment, where `plato_sas.jobs` has put it, and leaves it for publish. Both report to
the operator through their container's termination message (`messages`).
"""
