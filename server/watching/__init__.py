"""Owns following the library directories while the server runs: what changes on disk is scanned soon after."""
