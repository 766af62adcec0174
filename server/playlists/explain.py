"""Criteria in a sentence a DJ would say, and why one track is in a list or out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from server.clock import to_rfc3339
from server.playlists.fields import OPPOSITE, Field, Kind, Op
from server.playlists.rules import AllOf, AnyOf, Condition, Criteria, LimitBy, Not, Rule
from server.playlists.values import DEFAULT_TEMPO_PERCENT, Harmony, Tempo, Window

Names = Mapping[str, str]
_UNITS = {"min": "minute", "h": "hour", "d": "day", "w": "week", "mo": "month", "y": "year"}
_LIMITS = {Op.GT: "more than {}", Op.GTE: "at least {}", Op.LT: "less than {}", Op.LTE: "at most {}", Op.IS: "{}"}
_TEXTS = {
    Op.CONTAINS: ("contains", "doesn't contain"),
    Op.STARTS_WITH: ("starts with", "doesn't start with"),
    Op.ENDS_WITH: ("ends with", "doesn't end with"),
}
_NOTES = ("C", "Db", "D", "Eb", "E", "F", "Gb", "G", "Ab", "A", "Bb", "B")
_VERBS = {"last_played": "played", "date_added": "added", "date_analyzed": "analysed", "updated_at": "changed"}
_ORDERS = {
    "key": ("around the Camelot wheel", "around the Camelot wheel, backwards"),
    "date_added": ("oldest in the library first", "newest in the library first"),
    "last_played": ("longest unplayed first", "last played first"),
    "year": ("oldest first", "newest first"),
    "duration": ("shortest first", "longest first"),
    "duration_seconds": ("shortest first", "longest first"),
    "bpm": ("slowest first", "fastest first"),
    "play_count": ("least played first", "most played first"),
}
_ALPHABETIC = {
    "title", "artist", "album", "album_artist", "genre", "label", "composer", "remixer", "file_name", "format",
    "relative_path",
}  # fmt: skip


def sentence(criteria: Criteria, names: Names) -> str:
    """The whole of it: `Tracks: Techno or House, between 124 and 130 BPM; most energy first; at most 100 tracks.`

    `names` gives the playlists and tracks that conditions refer to.
    """
    parts = [f"Tracks: {phrase(criteria.rule, names)}" if not _is_all(criteria.rule) else "All tracks"]
    if criteria.sort:
        parts.append(", then ".join(_order(name) for name in criteria.sort))
    if criteria.limit is not None:
        parts.append(limit(criteria))
    return f"{'; '.join(parts)}."


def _is_all(rule: Rule) -> bool:
    return isinstance(rule, AllOf) and not rule.parts


def phrase(rule: Rule, names: Names) -> str:
    match rule:
        case Condition():
            return _condition(rule, names)
        case AllOf(parts):
            return ", ".join(_bracketed(part, names) for part in parts) or "any"
        case AnyOf(parts):
            return f"either {' or '.join(_bracketed(part, names) for part in parts)}"
        case Not(Condition() as part):
            return _condition(part, names, is_so=False)
        case Not(part):
            return f"not ({phrase(part, names)})"


def _bracketed(rule: Rule, names: Names) -> str:
    text = phrase(rule, names)
    return text if isinstance(rule, (Condition, Not)) else f"({text})"


def limit(criteria: Criteria) -> str:
    assert criteria.limit is not None
    if criteria.limit_by is LimitBy.COUNT:
        return f"at most {_counted(int(criteria.limit), 'track')}"
    if criteria.limit_by is LimitBy.DURATION:
        return f"at most {_length(criteria.limit)} of music"
    return f"at most {_size(criteria.limit)}"


def _order(name: str) -> str:
    plain, is_descending = name.removeprefix("-"), name.startswith("-")
    if plain in _ORDERS:
        return _ORDERS[plain][is_descending]
    label = plain.replace("_", " ")
    if plain in _ALPHABETIC:
        return f"by {label} from Z to A" if is_descending else f"by {label}"
    return f"{'highest' if is_descending else 'lowest'} {label} first"


def _condition(condition: Condition, names: Names, *, is_so: bool = True) -> str:
    """A condition, or with `is_so` false its opposite."""
    field, op, value = condition.field, condition.op, condition.value
    if op in OPPOSITE:
        return _condition(Condition(field, OPPOSITE[op], value), names, is_so=not is_so)
    if op is Op.IS_MISSING:
        return f"{'without' if is_so else 'with'} {_article(field.label)}"
    if op in _TEXTS:
        return f"{field.label} {_TEXTS[op][not is_so]} “{value}”"
    if field.kind is Kind.FLAG:
        return _flagged(field.label, is_so=value == is_so)
    special = _SPECIAL.get(op)
    text = _compared(field, op, value, names) if special is None else special(field, value, names)
    return text if is_so else f"not {text}"


def _flagged(label: str, *, is_so: bool) -> str:
    if is_so:
        return label
    return f"without {label.removeprefix('with ')}" if label.startswith("with ") else f"not {label}"


def _compared(field: Field, op: Op, value: Any, names: Names) -> str:
    items = [_said(field, item, names) for item in (value if op is Op.IN else (value,))]
    wanted = _either(_with_one_unit(items, field))
    if field.kind is Kind.TIME:
        return f"{_VERBS.get(field.name, field.label)} {op.value} {wanted}"
    if field.kind is Kind.NUMBER:
        return _measured(field, _LIMITS.get(op, "{}").format(wanted))
    if field.kind is Kind.ID:
        return f"the track {wanted}"
    return wanted if field.name == "genre" else f"{field.label} {wanted}"


def _with_one_unit(items: Sequence[str], field: Field) -> Sequence[str]:
    """`120`, `121 BPM`: the last one says the unit for those that have the same."""
    if not field.unit:
        return items
    unit = items[-1].rpartition(" ")[2]
    return [*(item.removesuffix(f" {unit}") for item in items[:-1]), items[-1]]


def _measured(field: Field, text: str) -> str:
    """A unit says what is measured; a bare number needs the name."""
    return text if field.unit == "BPM" else f"{field.label} {text}"


def _between(field: Field, value: tuple[Any, Any], names: Names) -> str:
    low, high = (_said(field, item, names) for item in value)
    text = f"between {' and '.join(_with_one_unit([low, high], field))}"
    if field.kind is Kind.TIME:
        return f"{_VERBS.get(field.name, field.label)} {text}"
    return _measured(field, text)


def _in_last(field: Field, value: Window, _: Names) -> str:
    unit = _UNITS[value.unit]
    span = unit if value.count == 1 else _counted(value.count, unit)
    return f"{_VERBS.get(field.name, field.label)} in the last {span}"


def _includes(field: Field, values: Sequence[str], _: Names) -> str:
    if field.name == "tags":
        return f"tagged {_either(values)}"
    return f"{_either(values)} among the {field.label}"


def _in_playlist(_: Field, value: str, names: Names) -> str:
    return f"in “{names.get(value, 'a deleted playlist')}”"


def _key_compatible(_: Field, value: Harmony, __: Names) -> str:
    boost = " or lifts the energy from there" if value.is_boosted else ""
    return f"in a key that mixes with {value.key.camelot} ({value.key.name}){boost}"


def _bpm_compatible(_: Field, value: Tempo, __: Names) -> str:
    percent = "" if value.percent == DEFAULT_TEMPO_PERCENT else f" within {_number(value.percent)} %"
    return f"mixes with {_number(value.bpm)} BPM{percent}, also at half or double time"


def _similar(_: Field, value: str, names: Names) -> str:
    return f"similar to “{names.get(value, 'a deleted track')}”"


_SPECIAL: dict[Op, Callable[[Field, Any, Names], str]] = {
    Op.BETWEEN: _between, Op.IN_LAST: _in_last, Op.INCLUDES: _includes, Op.IN_PLAYLIST: _in_playlist,
    Op.KEY_COMPATIBLE: _key_compatible, Op.BPM_COMPATIBLE: _bpm_compatible, Op.SIMILAR_TO: _similar,
}  # fmt: skip


def _said(field: Field, value: Any, names: Names) -> str:
    if field.kind is Kind.TIME:
        return str(to_rfc3339(value)).removesuffix("T00:00:00.000Z")
    if field.kind is Kind.KEY:
        return f"{value.camelot} ({value.name})"
    if field.kind is Kind.ID:
        return f"“{names.get(value, value)}”"
    if field.name == "mode":
        return "major" if value == 1 else "minor"
    if field.name == "musical_key" and 0 <= value < len(_NOTES):
        return _NOTES[value]
    if field.name == "library_directory_id":
        return f"“{names.get(value, value)}”"
    if field.name in ("file_size", "artwork_size"):
        return _size(value)
    if field.unit in ("bit/s", "Hz") and value >= 1000:
        return f"{_number(value / 1000)} k{field.unit}"
    if field.name == "duration_seconds":
        return _length(value)
    if field.kind is Kind.NUMBER:
        return f"{_number(value)} {field.unit}".rstrip()
    return str(value)


def _either(items: Sequence[str]) -> str:
    if len(items) > 5:
        return f"{', '.join(items[:4])} or {len(items) - 4} others"
    return f"{', '.join(items[:-1])} or {items[-1]}" if len(items) > 1 else items[0]


def _number(value: float) -> str:
    return f"{round(value, 3):g}" if abs(value) < 1e6 else f"{value:.0f}"


def _counted(count: int, noun: str) -> str:
    return f"{count} {noun}{'' if count == 1 else 's'}"


def _article(label: str) -> str:
    return f"{'an' if label[0] in 'aeio' else 'a'} {label}"


def _length(seconds: float) -> str:
    if seconds < 0:
        return f"−{_length(-seconds)}"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d} h" if hours else f"{minutes}:{rest:02d} min"


def _size(size: float) -> str:
    units = ("bytes", "kB", "MB", "GB", "TB")
    power = min(len(units) - 1, max(0, (len(str(int(size))) - 1) // 3))
    return f"{size / 1000**power:.3g} {units[power]}"


# -- one track


def holds(rule: Rule, facts: Mapping[Condition, bool]) -> bool:
    """Whether a rule is fulfilled, from which of its conditions are."""
    match rule:
        case Condition():
            return facts[rule]
        case AllOf(parts):
            return all(holds(part, facts) for part in parts)
        case AnyOf(parts):
            return any(holds(part, facts) for part in parts)
        case Not(part):
            return not holds(part, facts)


def reasons(rule: Rule, facts: Mapping[Condition, bool], names: Names, track: Mapping[str, Any]) -> list[str]:
    """What makes a rule hold for a track, or what keeps it from holding: only what matters for that."""
    is_in = holds(rule, facts)
    match rule:
        case Condition():
            return [f"{_condition(rule, names, is_so=is_in)}{_has(rule.field, track)}"]
        case AllOf(parts):
            telling = [part for part in parts if holds(part, facts) == is_in]
        case AnyOf(parts):
            telling = [part for part in parts if holds(part, facts) == is_in]
        case Not(part):
            return reasons(part, facts, names, track)
    return [reason for part in telling for reason in reasons(part, facts, names, track)]


def _has(field: Field, track: Mapping[str, Any]) -> str:
    """What the track has there: ` (118 BPM)`."""
    if field.kind in (Kind.FLAG, Kind.ID):
        return ""
    value = track.get("camelot" if field.kind is Kind.KEY else field.name)
    if value is None or value in ("", []):
        return f" (it has no {field.label})"
    if isinstance(value, list):
        return f" ({', '.join(map(str, value))})"
    if field.kind is Kind.NUMBER:
        return f" ({_said(field, value, {})})"
    return f" ({value})"
