"""Owns HTTP: one declaration per endpoint feeds routing, validation and OpenAPI. Knows no domain."""
