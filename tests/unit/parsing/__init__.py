"""Tests of parsing: the messages and events that request a stop."""
