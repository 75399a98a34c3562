"""The proof itself: that each attack can find what it looks for, and a short, seeded part of it."""
