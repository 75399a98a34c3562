"""Tests of both handlers with real boto3 clients and a fake AWS."""
