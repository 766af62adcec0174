"""Files that come with a request instead of lying on this machine."""

import re
import uuid
from pathlib import Path

import orjson
from aiohttp import BodyPartReader, web

from server.analyzer.protocol import Refused

_LARGEST_FIELD = 1 << 16
_SUFFIX = re.compile(r"\.[A-Za-z0-9]{1,8}")


async def receive(request: web.Request, folder: Path, largest: int) -> tuple[dict[str, object], Path]:
    """Reads a multipart request: its fields as they would stand in JSON, and the path of the stored `file`.

    The caller owns that file. Raises Refused.
    """
    fields: dict[str, object] = {}
    stored: Path | None = None
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or part.name is None:
                raise Refused(422, "malformed", "every part must have a name")
            if part.name == "file":
                if stored is not None:
                    raise Refused(422, "malformed", "one file at a time")
                stored = folder / f"{uuid.uuid4().hex}{_suffix(part.filename)}"
                await _store(part, stored, largest)
            else:
                fields[part.name] = await _field(part)
        if stored is None:
            raise Refused(422, "malformed", "the part 'file' is missing")
    except BaseException:
        if stored is not None:
            stored.unlink(missing_ok=True)
        raise
    # The path on the sender's machine says nothing here.
    fields.pop("file_path", None)
    return fields, stored


async def _store(part: BodyPartReader, path: Path, largest: int) -> None:
    size = 0
    with path.open("xb") as file:
        while chunk := await part.read_chunk(1 << 16):
            size += len(chunk)
            if size > largest:
                raise Refused(413, "too_large", f"the file is larger than {largest} bytes")
            file.write(chunk)


async def _field(part: BodyPartReader) -> object:
    raw = bytearray()
    while chunk := await part.read_chunk():
        raw += chunk
        if len(raw) > _LARGEST_FIELD:
            raise Refused(413, "too_large", f"the field {part.name!r} is too long")
    if part.name != "options":
        return raw.decode("utf-8", errors="replace")
    try:
        return orjson.loads(bytes(raw))
    except orjson.JSONDecodeError as error:
        raise Refused(422, "malformed", "options must be JSON") from error


def _suffix(filename: str | None) -> str:
    suffix = Path(filename or "").suffix
    return suffix.lower() if _SUFFIX.fullmatch(suffix) else ""
