"""Tests of the deployed stack, on AWS on this machine."""
