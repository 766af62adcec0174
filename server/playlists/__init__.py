"""Owns playlists of every type and their folders: made by hand, filled by rules, or written down as played."""
