"""Tests of the local emulator and its shim."""
