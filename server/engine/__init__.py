"""Owns the link to the audio engine: a websocket that Mismo opens, what is asked over it, what is told over it."""
