"""Fixtures of the adversarial tests: the simulated AWS, and STOP's dependencies with clients of a fake."""

from tests.integration.conftest import make_dependencies, queues, simulation

__all__ = ["make_dependencies", "queues", "simulation"]
