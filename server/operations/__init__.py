"""Moving, renaming and deleting files: a durable journal of what is to be done, the runner that does it, and the trash.

Owns the table `file_operations` and the folder `.mismo-trash` of every library directory.
"""
