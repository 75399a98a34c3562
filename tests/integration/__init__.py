"""The two handlers at work, on real boto3 clients and a fake AWS."""
