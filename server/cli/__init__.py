"""Owns the command line: one module for each command, each with its arguments, its help and an example."""
