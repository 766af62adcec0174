"""Owns the tracks: one row for each file in the library with all that is known of it, its search index, its edits."""
