"""What clients may send about file operations, and what one looks like in answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from marshmallow import Schema, ValidationError, fields, validate, validates_schema

from server.api.fields import Flag, Id, PageQuery, Repeated, StrictSchema, Text, integer, number
from server.operations.model import OnConflict, State
from server.tracks.schemas import BulkFilter

# Not `Text`: a NUL in a path is for the path rules to refuse, with their code.
_Path = fields.String


def _flag(default: bool) -> Flag:
    return Flag(load_default=default)


class MoveBody(StrictSchema):
    library_directory_id = Id(required=True)
    destination_path = _Path(required=True, metadata={"description": "folder and name, relative to the directory"})
    create_directories = _flag(True)
    on_conflict = fields.Enum(OnConflict, by_value=True, load_default=OnConflict.FAIL)
    with_sidecars = _flag(True)


class RenameBody(StrictSchema):
    new_name = _Path(required=True)
    keep_extension = _flag(True)
    on_conflict = fields.Enum(OnConflict, by_value=True, load_default=OnConflict.FAIL)
    with_sidecars = _flag(True)


class DeleteBody(StrictSchema):
    confirm = _flag(False)
    permanent = _flag(False)
    with_sidecars = _flag(True)


class DeleteQuery(StrictSchema):
    confirm = Flag(load_default=None)
    permanent = Flag(load_default=None)


class ItemBody(StrictSchema):
    """One operation of a batch: the fields of the single endpoint, with the track and the kind."""

    kind = Text(required=True, validate=validate.OneOf(["move", "rename", "delete"]))
    track_id = Id(required=True)
    library_directory_id = Id()
    destination_path = _Path()
    new_name = _Path()
    keep_extension = Flag()
    create_directories = Flag()
    on_conflict = fields.Enum(OnConflict, by_value=True)
    with_sidecars = Flag()
    permanent = Flag()
    confirm = Flag()

    @validates_schema
    def _fits_its_kind(self, data: Mapping[str, Any], **_: Any) -> None:
        known, needed = _OF_KIND.get(data.get("kind", ""), (frozenset(), frozenset()))
        problems = {name: ["isn't known for this kind"] for name in data.keys() - known - {"kind", "track_id"}}
        problems |= {name: ["is required"] for name in needed - data.keys()}
        if problems:
            raise ValidationError(problems)


_OF_KIND: dict[str, tuple[frozenset[str], frozenset[str]]] = {
    "move": (
        frozenset({"library_directory_id", "destination_path", "create_directories", "on_conflict", "with_sidecars"}),
        frozenset({"library_directory_id", "destination_path"}),
    ),
    "rename": (frozenset({"new_name", "keep_extension", "on_conflict", "with_sidecars"}), frozenset({"new_name"})),
    "delete": (frozenset({"permanent", "with_sidecars", "confirm"}), frozenset()),
}


class BatchBody(StrictSchema):
    operations = fields.List(fields.Nested(ItemBody), required=True, validate=validate.Length(1, 10_000))
    atomic = _flag(True)


class OrganizeBody(StrictSchema):
    filter = fields.Nested(BulkFilter, required=True)
    template = _Path(required=True, validate=validate.Length(1, 1000))
    on_conflict = fields.Enum(OnConflict, by_value=True, load_default=OnConflict.SUFFIX)
    dry_run = _flag(False)


class JournalQuery(PageQuery):
    class Meta(PageQuery.Meta):
        exclude = ("cursor",)

    status = Repeated(Text(validate=validate.OneOf([state.value for state in State])), load_default=list)
    track_id = Id(load_default=None)


class EmptyTrash(StrictSchema):
    older_than_days = number(0, 100_000, load_default=None)
    confirm = _flag(False)


class EmptyTrashQuery(StrictSchema):
    older_than_days = number(0, 100_000, load_default=None)
    confirm = Flag(load_default=None)


class FilePlaceOut(Schema):
    library_directory_id = fields.String(required=True)
    path = fields.String(required=True)


class OperationErrorOut(Schema):
    code = fields.String(required=True)
    detail = fields.String(required=True)


class OperationOptionsOut(Schema):
    create_directories = fields.Boolean(required=True)
    on_conflict = fields.String(required=True)
    with_sidecars = fields.Boolean(required=True)
    permanent = fields.Boolean(required=True)


def _place(name: str, *, allow_none: bool = False) -> fields.Nested:
    return fields.Nested(FilePlaceOut, required=True, allow_none=allow_none, data_key=name)


class FileOperation(Schema):
    id = fields.UUID(required=True)
    batch_id = fields.String(required=True, allow_none=True)
    kind = fields.String(required=True, metadata={"description": "move, rename, delete or undo"})
    state = fields.String(required=True)
    track_id = fields.UUID(required=True)
    undo_of = fields.String(required=True, allow_none=True)
    source = _place("from")
    target = _place("to", allow_none=True)
    options = fields.Nested(OperationOptionsOut, required=True)
    attempts = fields.Integer(required=True)
    error = fields.Nested(OperationErrorOut, required=True, allow_none=True)
    bytes = fields.Integer(required=True)
    created_at = fields.DateTime(required=True)
    started_at = fields.DateTime(required=True, allow_none=True)
    finished_at = fields.DateTime(required=True, allow_none=True)


class OperationBatchOut(Schema):
    batch_id = fields.String(required=True, allow_none=True)
    operations = fields.List(fields.Nested(FileOperation), required=True)


class RenamingOut(Schema):
    track_id = fields.UUID(required=True)
    source = _place("from")
    target = _place("to")
    problem = fields.String(required=True, allow_none=True, metadata={"description": "missing or same_target"})


class OrganizeOut(Schema):
    dry_run = fields.Boolean(required=True)
    plan = fields.List(fields.Nested(RenamingOut), required=True)
    operations = fields.List(fields.Nested(FileOperation), required=True)


class TrashedOut(Schema):
    operation_id = fields.UUID(required=True)
    track_id = fields.String(required=True)
    deleted_at = fields.DateTime(required=True)
    files = fields.List(fields.String(), required=True)
    bytes = fields.Integer(required=True)


class TrashEmptiedOut(Schema):
    removed = integer(required=True)
    bytes = integer(required=True)
