"""The conftest.py of the copy. Hypothesis draws the same few examples each time, so a run is repeatable."""

from hypothesis import settings

settings.register_profile("mutation", derandomize=True, database=None, deadline=None, max_examples=20)
settings.load_profile("mutation")
