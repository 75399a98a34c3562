"""Tests that hold the documents to the truth."""
