"""Tests of the synthesised template, and of the synthesis and the deployment."""
