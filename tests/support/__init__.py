"""Code that several test suites use: fakes, builders, the simulated AWS, invariants."""
