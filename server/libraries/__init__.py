"""Owns the library directories: which folders are managed, on what file system each lies, whether it is there."""
