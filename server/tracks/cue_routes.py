"""The endpoints of hot cues."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from server import errors
from server.api.answer import Answer, Pagination, ok
from server.api.fields import Flag, StrictSchema, Text, integer, number
from server.api.route import Call, Route
from server.tracks.cue import HIGHEST_INDEX, Cue, CueSource
from server.tracks.cues import CueNotFound, CueService

_LAST_SECOND = 1e6


def _source(**kwargs: Any) -> fields.Enum[CueSource]:
    return fields.Enum(CueSource, by_value=True, **kwargs)


class CueQuery(StrictSchema):
    source = _source(load_default=None, metadata={"description": "without it: one cue for each index"})


class CueSelection(StrictSchema):
    source = _source(load_default=CueSource.USER)


class CueBody(StrictSchema):
    position = number(0, _LAST_SECOND, required=True, metadata={"description": "s"})
    name = Text(load_default=None, allow_none=True, validate=validate.Length(max=200))
    color = Text(load_default=None, allow_none=True, validate=validate.Length(max=32))
    is_loop = Flag(load_default=False)
    loop_end = number(0, _LAST_SECOND, load_default=None, allow_none=True, metadata={"description": "s"})

    @validates_schema
    def _ends_after_it_begins(self, data: Mapping[str, Any], **_: Any) -> None:
        end = data.get("loop_end")
        if data.get("is_loop") and end is None:
            raise ValidationError("a loop needs its end", "loop_end")
        if end is not None and "position" in data and end <= data["position"]:
            raise ValidationError("must come after position", "loop_end")


class OneCueBody(CueBody):
    source = _source(load_default=CueSource.USER)


class IndexedCueBody(CueBody):
    index = integer(0, HIGHEST_INDEX, required=True)


class CuesBody(StrictSchema):
    source = _source(load_default=CueSource.USER)
    cues = fields.List(fields.Nested(IndexedCueBody), required=True, validate=validate.Length(max=HIGHEST_INDEX + 1))

    @validates_schema
    def _are_different(self, data: Mapping[str, Any], **_: Any) -> None:
        indexes = [cue["index"] for cue in data.get("cues", ()) if "index" in cue]
        if len(indexes) != len(set(indexes)):
            raise ValidationError("two cues have the same index", "cues")


class CueOut(Schema):
    index = fields.Integer(required=True, metadata={"description": "0-7"})
    source = fields.String(required=True)
    position = fields.Float(required=True, metadata={"description": "s"})
    name = fields.String(required=True, allow_none=True)
    color = fields.String(required=True, allow_none=True)
    is_loop = fields.Boolean(required=True)
    loop_end = fields.Float(required=True, allow_none=True)


class Deleted(Schema):
    deleted = fields.Integer(required=True)


def routes(cues: CueService) -> Sequence[Route]:
    async def list_hot_cues(call: Call) -> Answer:
        """The hot cues of a track: one for each index, user's and engine's first, or those of one source."""
        found = [cue.as_json() for cue in await cues.listed(call.path["id"], call.query["source"])]
        return Answer(data=found, pagination=Pagination(HIGHEST_INDEX + 1, len(found), 1))

    async def get_hot_cue(call: Call) -> Answer:
        """One hot cue."""
        index = _index(call)
        for cue in await cues.listed(call.path["id"], call.query["source"]):
            if cue.index == index:
                return ok(cue.as_json())
        raise CueNotFound

    async def replace_hot_cues(call: Call) -> Answer:
        """Make these the only hot cues of a source."""
        source = call.body["source"]
        await cues.replace(call.path["id"], source, [Cue(source=source, **cue) for cue in call.body["cues"]])
        return ok([cue.as_json() for cue in await cues.listed(call.path["id"], source)])

    async def put_hot_cue(call: Call) -> Answer:
        """Set a hot cue of a source."""
        return ok((await cues.put(call.path["id"], Cue(index=_index(call), **call.body))).as_json())

    async def delete_hot_cues(call: Call) -> Answer:
        """Take away all hot cues of a source."""
        return ok({"deleted": await cues.delete(call.path["id"], call.query["source"], None)})

    async def delete_hot_cue(call: Call) -> Answer:
        """Take away a hot cue of a source."""
        return ok({"deleted": await cues.delete(call.path["id"], call.query["source"], _index(call))})

    every, one = "/tracks/{id}/hot-cues", "/tracks/{id}/hot-cues/{index}"
    tag, missing, cue, deleted = "tracks", [errors.NotFound], CueOut(), Deleted()
    chosen = CueSelection()
    return [
        Route(
            "GET", every, list_hot_cues, query=CueQuery(), returns=cue, tag=tag, errors=missing, is_list=True,
            is_paged=True, is_live=True,
        ),
        Route("PUT", every, replace_hot_cues, body=CuesBody(), returns=cue, tag=tag, errors=missing, is_list=True),
        Route("DELETE", every, delete_hot_cues, query=chosen, returns=deleted, tag=tag, errors=missing),
        Route("GET", one, get_hot_cue, query=CueQuery(), returns=cue, tag=tag, errors=missing, is_live=True),
        Route("PUT", one, put_hot_cue, body=OneCueBody(), returns=cue, tag=tag, errors=missing),
        Route("DELETE", one, delete_hot_cue, query=chosen, returns=deleted, tag=tag, errors=missing),
    ]  # fmt: skip


def _index(call: Call) -> int:
    text = call.path["index"]
    if len(text) != 1 or text not in "01234567":
        raise errors.Invalid.field("index", f"must be 0 to {HIGHEST_INDEX}")
    return int(text)
