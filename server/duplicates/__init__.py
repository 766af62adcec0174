"""Tracks with the same audio: their groups, which of them to keep, and merging the others into it, with a way back.

Owns the tables `duplicate_groups` and `duplicate_resolutions`.
"""
