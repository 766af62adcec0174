"""Operations under strace: killed, or refused by the system, at every file-system call; then recovered and judged.

`python -m tests.operations.crash` runs everything (`scripts/crash_operations`); the tests run a part. For each
scenario, each fault and each system call by its name (strace counts each by itself), k = 1, 2, 3 … until a run ends
undisturbed: the k-th such call of the thread that works on the disk (or of the one that writes the database, or of the
one that reads it) is hit. So every file-system call is hit once. Afterwards a new start must bring everything in order,
and a second one change nothing.
"""
