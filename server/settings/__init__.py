"""Owns the settings that a person changes while the server runs: typed, validated, cached, announced."""
