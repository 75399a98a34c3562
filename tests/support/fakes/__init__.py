"""Fakes of the AWS services that the functions call. They behave as AWS where the functions depend on it."""
