"""What the tests of the documents share."""

from tests.integration.conftest import world

__all__ = ["world"]
