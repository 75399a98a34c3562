"""Mutation tests: change the code one statement at a time and check that a test fails."""
