"""Owns the event log: what a change is called, that it is recorded with the change itself, and who hears of it."""
