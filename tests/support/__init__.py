"""What several test suites share: fakes, builders, simulated AWS, invariants."""
