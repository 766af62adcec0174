"""Owns the bearer tokens that let a client in when the server listens on more than the loopback address."""
