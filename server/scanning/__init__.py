"""Owns the scans: walking a directory, comparing it with what is known, reading what differs, reporting all of it."""
