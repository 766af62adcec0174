"""Builds small files of every container out of packets that are known, so that the hash to expect is known too."""
