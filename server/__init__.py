"""Mismo, the open library server for DJs."""

__version__ = "0.1.0"
