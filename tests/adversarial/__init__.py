"""Tests with hostile messages: ambiguous or forged ones, forged log lines, and those that cost much."""
