"""The endpoints of the settings."""

from __future__ import annotations

from collections.abc import Sequence

from marshmallow import Schema, fields

from server import errors
from server.api.answer import Answer, Pagination, ok
from server.api.fields import StrictSchema
from server.api.route import Call, Route
from server.settings.service import SettingsService

_TAG = "settings"


class SettingOut(Schema):
    key = fields.String(required=True)
    value = fields.Raw(required=True, allow_none=True)
    default = fields.Raw(required=True, allow_none=True)
    type = fields.String(required=True)
    description = fields.String(required=True)
    updated_at = fields.DateTime(required=True, allow_none=True)


class SettingBody(StrictSchema):
    value = fields.Raw(required=True, allow_none=True)


def routes(settings: SettingsService) -> Sequence[Route]:
    async def list_settings(_: Call) -> Answer:
        """Every setting with its value, default and type."""
        found = await settings.describe_all()
        return Answer(data=found, pagination=Pagination.whole(len(found)))

    async def get_setting(call: Call) -> Answer:
        """One setting."""
        return ok(await settings.describe(call.path["key"]))

    async def put_setting(call: Call) -> Answer:
        """Change a setting."""
        return ok(await settings.put(call.path["key"], call.body["value"]))

    one, not_found = SettingOut(), [errors.NotFound]
    return [
        Route(
            "GET", "/settings", list_settings, returns=one, tag=_TAG, is_list=True, is_paged=True, is_live=True,
            is_cached=True,
        ),
        Route(
            "GET", "/settings/{key}", get_setting, returns=one, tag=_TAG, errors=not_found, is_live=True,
            is_cached=True,
        ),
        Route("PUT", "/settings/{key}", put_setting, body=SettingBody(), returns=one, tag=_TAG, errors=not_found),
    ]  # fmt: skip
