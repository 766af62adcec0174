"""Owns the analysis of audio: the durable queue, the talk with the analysis server, and what came of it.

A job is one audio, named by its hash. `job` says how it goes from state to state, `queue` keeps jobs and announces
them, `service` asks for them, `broker` gives them to the server, `intake` takes in what comes back, `results` keeps it
and shows it on tracks, `stems` keeps separated parts for a while.
"""
