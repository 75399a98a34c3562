"""The documents, and the generators of their tables, schemas and pictures."""
