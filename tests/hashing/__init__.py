"""What a recording is, whatever is done to its file."""
