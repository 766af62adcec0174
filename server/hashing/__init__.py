"""Owns what a recording *is*: the container a file really is, its encoded audio, and the hash of that audio."""
