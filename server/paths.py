"""Paths that come from outside: refused unless they lie inside one library directory.

Two steps. `inside`, `destination` and `new_name` judge the text alone: traversal in any spelling, absolute paths, NUL.
`real` and `open_folder` judge what the text leads to on disk: a symlink that leads out is refused, and a folder is
opened component by component without following links, so that nothing swapped in after the check is followed either.
"""

from __future__ import annotations

import errno
import html
import os
import re
import unicodedata
from collections.abc import Mapping
from urllib.parse import unquote_to_bytes

from server import errors

TRASH = b".mismo-trash"
OWN_PREFIX = b".mismo-"  # names that only Mismo gives
MAX_NAME_BYTES = 255
MAX_PATH_BYTES = 4096

# Letters that a person, a font or a sloppy decoder takes for a dot or a separator, and that NFKC leaves alone.
_LOOK_ALIKES = str.maketrans(
    {
        **dict.fromkeys("\u2044\u2215\u29f8\u2571\u27cb\u2afd\u1735", "/"),
        **dict.fromkeys("\u2216\u29f5\u29f9\u2572\u27cd\u2cfa", "\\"),
        **dict.fromkeys("\u06d4\u0701\u0702\u0660\ua60e\U00010a50\u00b7\u30fb\ua4f8", "."),
        **dict.fromkeys("\u02d0\u0589\u05c3\u2236\ua789\ufe30\u0703", ":"),
    }
)
# UTF-8 spelled with more bytes than needed, which lenient decoders accept.
_OVERLONG = {
    b"\xc0\xae": b".",
    b"\xc0\xaf": b"/",
    b"\xc1\x9c": b"\\",
    b"\xe0\x80\xae": b".",
    b"\xe0\x80\xaf": b"/",
    b"\xe0\x81\x9c": b"\\",
    b"\xf0\x80\x80\xae": b".",
    b"\xf0\x80\x80\xaf": b"/",
    b"\xc0\x80": b"\0",
}
_UNICODE_ESCAPE = re.compile(r"%u([0-9a-fA-F]{4})")
_PERCENT = re.compile(r"%[0-9a-fA-F]{2}")
_DRIVE = re.compile(r"[A-Za-z]:(?:[/\\]|$)")
_MAX_DECODINGS = 5
# Windows and SMB keep these names to themselves, with any extension.
_RESERVED = re.compile(r"(?i)(con|prn|aux|nul|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3])(\.|$)")
_SEPARATORS = frozenset("/\\")
_UNPORTABLE = frozenset('<>:"|?*')  # legal here, but not on the drives that a library is often copied to


class Outside(errors.Invalid):
    """A path must lie inside its library directory."""

    code = "path_outside"


def inside(field: str, text: str) -> bytes:
    """A relative path within a library directory, as bytes; raises `Outside` naming `field`.

    The path may name what exists already, so odd characters are allowed as long as they can't be taken for a way out.
    """
    raw = _encoded(field, text)
    if any(unicodedata.category(letter) == "Cc" for letter in text):
        raise Outside.field(field, "must not contain control characters")
    for reading in _readings(text):
        _refuse_way_out(field, reading)
    path = raw.rstrip(b"/")
    if any(part in (b"", b".", b"..") for part in path.split(b"/")):
        raise Outside.field(field, "must be a relative path of plain names")
    if any(len(part) > MAX_NAME_BYTES for part in path.split(b"/")) or len(path) > MAX_PATH_BYTES:
        raise Outside.field(field, f"has a name of more than {MAX_NAME_BYTES} bytes")
    return path


def destination(field: str, text: str) -> bytes:
    """A relative path whose names are to be made: `inside`, and every component a name that is safe everywhere."""
    path = inside(field, text)
    if text.endswith("/"):
        raise Outside.field(field, "must end in the name of a file")
    for part in text.split("/"):
        _refuse_name(field, part)
    return path


def new_name(field: str, text: str) -> bytes:
    """One file name that is to be made."""
    _refuse_name(field, text)
    name = inside(field, text)
    if b"/" in name:
        raise Outside.field(field, "must be a name, not a path")
    return name


def safe_name(text: str) -> str:
    """Text from tags made fit for one name: what `new_name` refuses is replaced, never an error."""
    letters = (
        "_" if letter in _UNPORTABLE or _is_forbidden(letter) else letter
        for letter in unicodedata.normalize("NFC", text)
    )
    name = " ".join("".join(letters).split()).strip(" .")
    if not name or _is_own(name) or _is_dots(name) or _RESERVED.match(name):
        name = f"_{name}"
    return name.encode("utf-8", "replace").decode()


def under(field: str, text: str, roots: Mapping[str, bytes]) -> tuple[str, bytes]:
    """An absolute path as (library directory, relative path); raises `Outside` when it lies in none of `roots`."""
    raw = _encoded(field, text)
    if not raw.startswith(b"/"):
        raise Outside.field(field, "must be absolute")
    for directory_id, root in roots.items():
        prefix = root.rstrip(b"/") + b"/"
        if raw.startswith(prefix):
            return directory_id, inside(field, os.fsdecode(raw.removeprefix(prefix)))
    raise Outside.field(field, "must lie inside a library directory")


# -- on disk (blocking)


def real(root: bytes, path: bytes) -> bytes:
    """Where a path within a root leads, symlinks followed, relative to the real root; raises `Outside`."""
    real_root = os.path.realpath(root)
    found = os.path.realpath(os.path.join(real_root, path))
    if found == real_root:
        return b""
    if not found.startswith(real_root.rstrip(b"/") + b"/"):
        raise Outside.field("path", "leads out of the library directory")
    return found.removeprefix(real_root.rstrip(b"/") + b"/")


def open_folder(root: bytes, folder: bytes) -> int:
    """A descriptor of a folder inside a root, for calls relative to it; the caller closes it.

    Raises `Outside`, or OSError when it isn't there, isn't a folder, or changes on the way.
    """
    try:
        return _walk(root, folder)
    except OSError as error:
        if error.errno not in (errno.ELOOP, errno.ENOTDIR):
            raise
    # A link on the way: fine as long as it stays inside, but then its real way is the one that is walked.
    return _walk(os.path.realpath(root), real(root, folder))


def _walk(root: bytes, folder: bytes) -> int:
    """Open a folder component by component, following no link below the root."""
    descriptor = os.open(root, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    for name in (*folder.split(b"/"), b"."):
        if not name:
            continue
        # What was opened by its path alone can't be listed or synced, so the last step opens it for real.
        mode = os.O_RDONLY if name == b"." else os.O_PATH
        try:
            inner = os.open(name, mode | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=descriptor)
        finally:
            os.close(descriptor)
        descriptor = inner
    return descriptor


# -- judging text


def _encoded(field: str, text: str) -> bytes:
    if not text:
        raise Outside.field(field, "must not be empty")
    if "\0" in text:
        raise Outside.field(field, "must not contain NUL")
    try:
        return os.fsencode(text)
    except UnicodeEncodeError:
        raise Outside.field(field, "must be valid Unicode text") from None


def _readings(text: str) -> list[str]:
    """The text as it is, and as software that decodes once too often would read it, to the point of rest."""
    readings = [text]
    for _ in range(_MAX_DECODINGS):
        decoded = _decoded(readings[-1])
        if decoded == readings[-1]:
            break
        readings.append(decoded)
    return readings


def _decoded(text: str) -> str:
    text = _UNICODE_ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)
    if _PERCENT.search(text):
        raw = unquote_to_bytes(text.encode("utf-8", "surrogatepass"))
        for spelling, meant in _OVERLONG.items():
            raw = raw.replace(spelling, meant)
        text = raw.decode("utf-8", "replace")
    text = unicodedata.normalize("NFKC", html.unescape(text)).translate(_LOOK_ALIKES)
    return "".join(letter for letter in text if unicodedata.category(letter) != "Cf")


def _refuse_way_out(field: str, text: str) -> None:
    if "\0" in text:
        raise Outside.field(field, "must not contain NUL, in any spelling")
    if text[:1] in ("/", "\\") or _DRIVE.match(text):
        raise Outside.field(field, "must be a relative path inside the library directory")
    parts = re.split(r"[/\\]", text)
    if parts[0].strip() == "~" or any(_is_dots(part) for part in parts):
        raise Outside.field(field, "must not lead upwards")


def _is_dots(part: str) -> bool:
    """A component that means this folder or the one above, or that some system shortens to one that does."""
    bare = part.strip(" \t\r\n\v\f;\u00a0\u3000")
    return bool(bare) and not bare.strip(". ")


def _refuse_name(field: str, name: str) -> None:
    if not name.strip():
        raise Outside.field(field, "must not be empty")
    for letter in name:
        if _is_forbidden(letter):
            raise Outside.field(field, f"must not contain {letter!r}")
    if name != name.strip(" ") or name.endswith("."):
        raise Outside.field(field, "must not begin or end with a space, nor end with a dot")
    if _RESERVED.match(name) or _is_own(name):
        raise Outside.field(field, f"{name!r} is a reserved name")
    if len(name.encode("utf-8", "surrogateescape")) > MAX_NAME_BYTES:
        raise Outside.field(field, f"must not be longer than {MAX_NAME_BYTES} bytes")


def _is_own(name: str) -> bool:
    return name.casefold().startswith(OWN_PREFIX.decode())


def _is_forbidden(letter: str) -> bool:
    # Cc: control; Cs: half a letter; Zl, Zp: line breaks; bidirectional overrides make a name read as another.
    return (
        letter in _SEPARATORS
        or unicodedata.category(letter) in ("Cc", "Cs", "Zl", "Zp")
        or letter in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    )
