"""Fixtures for the tests of the documents."""

from tests.integration.conftest import simulation

__all__ = ["simulation"]
