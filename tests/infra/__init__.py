"""What the synthesised template promises, and how it comes about."""
