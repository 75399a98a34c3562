"""Fakes of the AWS services that the functions call. They are exact where the functions rely on it."""
