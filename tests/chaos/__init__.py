"""Attack what docs/reliability.md promises: `python -m tests.chaos` (or `make chaos`)."""
