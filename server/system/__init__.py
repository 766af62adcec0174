"""Owns what is said about the server itself: health, metrics, documentation, and how long history is kept."""
