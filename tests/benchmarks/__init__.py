"""The benchmarks, as far as they can be tested without a clock."""
