"""The chaos suite: faults injected into a running pipeline, and a judge of what they leave behind.

`python -m e2e.chaos [--short] [FAULT...]`. Each fault gets stars whose true end is known beforehand, an operator (the
real one, as a process of this machine behind a proxy that can break its connection to the API server), and a time
limit. The judge sees the resources, the Jobs and pods, and the product tree, and nothing of how the fault was made.
"""
