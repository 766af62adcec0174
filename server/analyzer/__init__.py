"""The embedded analysis server: a process of its own that computes tempo, beats, key, loudness and waveforms.

It owns decoding, signal analysis and its own small job queue, and speaks the analysis protocol over HTTP. It keeps
nothing: results leave as callbacks. Nothing here imports the rest of the server.
"""

__version__ = "0.1.0"
