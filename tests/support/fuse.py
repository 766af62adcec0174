"""A file system in a process of its own, which shows a folder through the kernel's FUSE interface and can be stopped.

While it is stopped, every call into it hangs, as calls into a dead network mount do. With `folding`, names that differ
only by case or composition lead to the same file. Read-only: what is on it is changed in the folder behind it.

The messages are those of <linux/fuse.h>, version 7.31: a header of 40 bytes in, one of 16 out.
"""

from __future__ import annotations

import argparse
import ctypes
import errno
import os
import signal
import stat
import struct
import subprocess
import sys
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.tmpfs import needs_mounting

ROOT = Path(__file__).resolve().parents[2]
_HEADER = struct.Struct("<IIQQIIII")
_MS_RDONLY_NOSUID_NODEV = 1 | 2 | 4
_MAX = 1 << 17


class Mounted:
    """A mounted folder. `hang` and `answer` stop and resume whatever is behind it."""

    def __init__(self, backing: Path, place: Path, process: subprocess.Popen[bytes]):
        self.backing = backing
        self.place = place
        self._process = process

    def hang(self) -> None:
        self._process.send_signal(signal.SIGSTOP)

    def answer(self) -> None:
        self._process.send_signal(signal.SIGCONT)


@contextmanager
def mounted(folder: Path, kind: str = "fuse", *, folding: bool = False) -> Iterator[Mounted]:
    """Mount a new folder's `backing` at its `place`; `kind` is the file system's name in the mount table."""
    needs_mounting()
    if not os.access("/dev/fuse", os.R_OK | os.W_OK):
        pytest.skip("not for systems without FUSE")
    backing, place = folder / "backing", folder / "place"
    backing.mkdir(parents=True)
    place.mkdir()
    command = [sys.executable, "-m", __name__, str(backing), str(place), "--kind", kind]
    process = subprocess.Popen([*command, "--folding"] if folding else command, stdout=subprocess.PIPE, cwd=ROOT)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield Mounted(backing, place, process)
    finally:
        # Its end ends every call that hangs.
        process.kill()
        process.communicate()
        subprocess.run(["umount", "--lazy", place], check=True)


class FileSystem:
    def __init__(self, backing: bytes, *, folding: bool):
        self._backing = backing
        self._folding = folding
        self._paths = {1: b""}
        self._ids = {b"": 1}
        self._acts: dict[int, Callable[[int, bytes], bytes]] = {
            1: self._lookup, 3: self._getattr, 5: self._readlink, 14: self._open, 15: self._read, 17: self._statfs,
            18: _nothing, 25: _nothing, 26: self._init, 27: self._open, 28: self._readdir, 29: _nothing, 34: _nothing,
        }  # fmt: skip

    def answer(self, request: bytes) -> bytes | None:
        _, opcode, unique, node, *_ = _HEADER.unpack_from(request)
        if opcode in (2, 36, 42):  # forget, interrupt, batch forget: nobody waits for an answer
            return None
        try:
            if opcode not in self._acts:
                raise OSError(errno.ENOSYS, "not implemented")
            content, error = self._acts[opcode](node, request[_HEADER.size :]), 0
        except OSError as raised:
            content, error = b"", raised.errno or errno.EIO
        return struct.pack("<IiQ", 16 + len(content), -error, unique) + content

    def _full(self, node: int) -> bytes:
        return os.path.join(self._backing, self._paths[node])

    def _lookup(self, node: int, body: bytes) -> bytes:
        name = body.rstrip(b"\0")
        if self._folding:
            wanted = _folded(name)
            name = next((item for item in os.listdir(self._full(node)) if _folded(item) == wanted), name)
        path = os.path.join(self._paths[node], name)
        status = os.lstat(os.path.join(self._backing, path))
        child = self._ids.setdefault(path, len(self._ids) + 1)
        self._paths[child] = path
        return struct.pack("<QQQQII", child, 0, 0, 0, 0, 0) + _attributes(status)

    def _getattr(self, node: int, _: bytes) -> bytes:
        return struct.pack("<QII", 0, 0, 0) + _attributes(os.lstat(self._full(node)))

    def _readlink(self, node: int, _: bytes) -> bytes:
        return os.readlink(self._full(node))

    def _open(self, node: int, _: bytes) -> bytes:
        os.stat(self._full(node))
        return struct.pack("<QII", node, 1, 0)  # 1: past the page cache

    def _read(self, node: int, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        with open(self._full(node), "rb") as file:
            file.seek(offset)
            return file.read(size)

    def _readdir(self, node: int, body: bytes) -> bytes:
        _, offset, size = struct.unpack_from("<QQI", body)
        found = b""
        for place, name in list(enumerate(sorted(os.listdir(self._full(node))), 1))[offset:]:
            try:
                status = os.lstat(os.path.join(self._full(node), name))
            except FileNotFoundError:
                continue
            entry = struct.pack("<QQII", status.st_ino, place, len(name), stat.S_IFMT(status.st_mode) >> 12) + name
            entry += b"\0" * (-len(entry) % 8)
            if len(found) + len(entry) > size:
                break
            found += entry
        return found

    def _statfs(self, _: int, __: bytes) -> bytes:
        return struct.pack("<QQQQQIIII24x", 1 << 20, 1 << 20, 1 << 20, 1 << 20, 1 << 20, 4096, 255, 4096, 0)

    def _init(self, _: int, __: bytes) -> bytes:
        return struct.pack("<IIIIHHIIHHI28x", 7, 31, _MAX, 0, 12, 9, _MAX, 1, 0, 0, 0)


def _nothing(_: int, __: bytes) -> bytes:
    return b""


def _folded(name: bytes) -> str:
    return unicodedata.normalize("NFC", os.fsdecode(name)).casefold()


def _attributes(status: os.stat_result) -> bytes:
    times = (status.st_atime_ns, status.st_mtime_ns, status.st_ctime_ns)
    return struct.pack(
        "<QQQQQQIIIIIIIIII",
        status.st_ino, status.st_size, status.st_blocks, *(time // 10**9 for time in times),
        *(time % 10**9 for time in times), status.st_mode, status.st_nlink, status.st_uid, status.st_gid, 0, 4096, 0,
    )  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("backing")
    parser.add_argument("place")
    parser.add_argument("--kind", default="fuse")
    parser.add_argument("--folding", action="store_true")
    given = parser.parse_args()
    device = os.open("/dev/fuse", os.O_RDWR)
    options = f"fd={device},rootmode=40000,user_id=0,group_id=0,allow_other"
    libc = ctypes.CDLL(None, use_errno=True)
    place, kind = os.fsencode(given.place), os.fsencode(given.kind)
    if libc.mount(b"mismo-test", place, kind, _MS_RDONLY_NOSUID_NODEV, options.encode()):
        raise OSError(ctypes.get_errno(), "can't mount")
    file_system = FileSystem(os.fsencode(given.backing), folding=given.folding)
    is_ready = False
    while True:
        try:
            request = os.read(device, _MAX + 4096)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.EINTR):  # a request that was taken back
                continue
            if error.errno == errno.ENODEV:  # unmounted
                return
            raise
        answer = file_system.answer(request)
        if answer is not None:
            os.write(device, answer)
        if not is_ready:
            is_ready = True
            sys.stdout.write("ready\n")
            sys.stdout.flush()


if __name__ == "__main__":
    main()
