"""One module for each Lambda function: its handler, its work and its wiring."""
