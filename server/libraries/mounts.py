"""The mount table: on which file system a folder lies, and whether that is a network's or can be unplugged.

Read from `/proc/self/mountinfo` (proc_pid_mountinfo(5)) and `/sys/dev/block` (Linux); elsewhere nothing is known.
"""

from __future__ import annotations

import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

MOUNTINFO = Path("/proc/self/mountinfo")
_BLOCK_DEVICES = Path("/sys/dev/block")
NETWORK_TYPES = frozenset(
    {"nfs", "nfs4", "cifs", "smb3", "smbfs", "afs", "9p", "ceph", "glusterfs", "davfs", "ncpfs", "lustre", "beegfs"}
)
_NETWORK_FUSE = frozenset({"fuse.sshfs", "fuse.rclone", "fuse.davfs2", "fuse.s3fs", "fuse.glusterfs", "fuse.smbnetfs"})
# Their drivers number files as they are met, so a file has another inode after each mount.
_UNSTABLE_INODES = frozenset({"vfat", "msdos", "exfat", "iso9660", "udf"})
_REMOVABLE_PLACES = (b"/media/", b"/run/media/", b"/Volumes/")


@dataclass(frozen=True, slots=True)
class Mount:
    """One line of the mount table. `id` is another one after each mount; `device` as `major:minor`."""

    id: int
    mount_point: bytes
    type: str
    device: str
    source: str

    @property
    def is_network(self) -> bool:
        return self.type in NETWORK_TYPES or self.type in _NETWORK_FUSE

    @property
    def is_removable(self) -> bool:
        """Whether it may go at any time: network, a device that says so, USB, or a place where desktops mount those."""
        if self.is_network or self.mount_point.startswith(_REMOVABLE_PLACES):
            return True
        return _device_is_removable(self.device)


@dataclass(frozen=True, slots=True)
class FileSystemFacts:
    """What the API shows of the file system under a directory."""

    type: str | None
    is_network: bool
    device: str | None
    mount_point: str | None

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


UNKNOWN = FileSystemFacts(None, is_network=False, device=None, mount_point=None)


def read_mounts(table: Path = MOUNTINFO) -> list[Mount]:
    """The mount table, in the order it was mounted; empty where there is none."""
    try:
        content = table.read_bytes()
    except OSError:
        return []
    return [mount for line in content.splitlines() if (mount := _parse(line)) is not None]


def _parse(line: bytes) -> Mount | None:
    # 36 35 98:0 /mnt1 /mnt2 rw,noatime master:1 - ext3 /dev/root rw,errors=continue
    left, separator, right = line.partition(b" - ")
    before, after = left.split(b" "), right.split(b" ")
    if not separator or len(before) < 5 or len(after) < 2:
        return None
    return Mount(
        id=int(before[0]),
        mount_point=_unescape(before[4]),
        type=after[0].decode(errors="replace"),
        device=before[2].decode(errors="replace"),
        source=_unescape(after[1]).decode(errors="replace"),
    )


def _unescape(field: bytes) -> bytes:
    """Blanks, tabs, newlines and backslashes stand in the table as three octal digits."""
    for code, byte in ((b"\\040", b" "), (b"\\011", b"\t"), (b"\\012", b"\n"), (b"\\134", b"\\")):
        field = field.replace(code, byte)
    return field


def mount_of(path: bytes, mounts: list[Mount]) -> Mount | None:
    """The mount a path lies on: the longest mount point above it, of several on one place the last."""
    found: Mount | None = None
    for mount in mounts:
        point = mount.mount_point.rstrip(b"/")
        is_above = path in (mount.mount_point, point) or path.startswith(point + b"/")
        if is_above and (found is None or len(mount.mount_point) >= len(found.mount_point)):
            found = mount
    return found


def below(path: bytes, mounts: list[Mount]) -> dict[bytes, Mount]:
    """The mounts inside a folder, by their path in it; of several on one place the last."""
    prefix = path.rstrip(b"/") + b"/"
    inside = [mount for mount in mounts if mount.mount_point.startswith(prefix) and mount.mount_point != prefix]
    return {mount.mount_point.removeprefix(prefix): mount for mount in inside}


def find_mount(path: bytes) -> Mount | None:
    """The mount that a path lies on just now (blocking)."""
    return mount_of(os.path.realpath(path), read_mounts())


def mount_ids(path: bytes) -> tuple[int, ...]:
    """The mount that a path lies on just now, and those inside of it (blocking)."""
    table, path = read_mounts(), os.path.realpath(path)
    outer = mount_of(path, table)
    return (0 if outer is None else outer.id, *sorted(mount.id for mount in below(path, table).values()))


def facts_of(mount: Mount | None) -> FileSystemFacts:
    if mount is None:
        return UNKNOWN
    return FileSystemFacts(
        type=mount.type,
        is_network=mount.is_network,
        device=mount.source,
        mount_point=mount.mount_point.decode("utf-8", "replace"),
    )


def has_stable_inodes(file_system_type: str | None) -> bool:
    """Whether a file keeps its inode number from one mount to the next."""
    return file_system_type not in _UNSTABLE_INODES and not (file_system_type or "").startswith("fuse")


def _device_is_removable(device: str) -> bool:
    link = _BLOCK_DEVICES / device
    try:
        real = os.path.realpath(link)
    except OSError:
        return False
    if "/usb" in real:
        return True
    # A partition's own folder has no `removable`; its disk's, one up, has.
    for folder in (Path(real), Path(real).parent):
        try:
            return (folder / "removable").read_text().strip() == "1"
        except OSError:
            continue
    return False
