"""Owns the websocket: who is subscribed to what, and that each client gets its events in order, without one lost."""
