"""Tests of AWS on this machine itself."""
