"""Tests of the benchmarks' generators, comparisons and reports, without measuring time."""
