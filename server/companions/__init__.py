"""Owns the processes that Mismo starts and watches beside itself: the analysis server and the audio engine."""
