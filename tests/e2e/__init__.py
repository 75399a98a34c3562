"""Tests of the stack, deployed into the local emulator."""
