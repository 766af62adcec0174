"""Tag formats: each module reads one of them into a Draft, whichever container it was found in."""
