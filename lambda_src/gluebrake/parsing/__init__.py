"""Turns message bodies into stop requests: one module for each family of events."""
