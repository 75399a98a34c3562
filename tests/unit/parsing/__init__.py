"""Signals: what other services say, and what is made of it."""
