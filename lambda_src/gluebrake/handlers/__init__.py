"""One module a Lambda function: its handler, its work and its wiring."""
