"""How a run of the tests goes: in which order, what runs alone, and what its end reports. Loaded by `conftest.py`."""
