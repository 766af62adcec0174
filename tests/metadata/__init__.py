"""What a file says: parsing of tags and stream facts."""
