"""Owns what a file *says*: its tags and its technical facts, whatever container they are kept in."""
