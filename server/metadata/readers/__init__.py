"""Containers: each module describes the audio stream of one of them and finds the tags in it."""
