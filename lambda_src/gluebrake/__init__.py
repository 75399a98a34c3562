"""Gluebrake stops AWS Glue job runs in batches, confirms each stop, and reports the outcome of each run."""

__version__ = "0.2.0.dev0"
