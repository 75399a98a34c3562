"""The function's parts, wired to the fake AWS, as the tests of signals have them."""

from tests.unit.parsing.conftest import queues, wire

__all__ = ["queues", "wire"]
