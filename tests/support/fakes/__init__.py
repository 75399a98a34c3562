"""Stand-ins for what the functions talk to, exact where they rely on it."""
