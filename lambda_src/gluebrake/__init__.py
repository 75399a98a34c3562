"""Gluebrake: stops AWS Glue job runs in batches, and tells the truth about what became of each."""
