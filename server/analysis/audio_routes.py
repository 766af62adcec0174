"""The endpoints of what an analysis found: beats, waveforms, stems."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import xxhash
from aiohttp import web

from server import errors
from server.analysis import schemas, stems
from server.analysis.service import (
    AnalysisService,
    BeatsNotReady,
    NotHashed,
    WaveformNotReady,
)
from server.analysis.stage import Stage
from server.analysis.stems import CONTENT_TYPES, StemsNotReady
from server.analysis.waveform import PLANES, Waveform
from server.api.answer import Answer, Pagination, Raw, accepted, ok
from server.api.route import Call, Route

_TAG = "analysis"
_BINARY = "application/octet-stream"
_KEPT = "private, max-age=86400, immutable"


def routes(analysis: AnalysisService) -> Sequence[Route]:
    async def get_beats(call: Call) -> Answer:
        """The times of all beats."""
        beats, _ = await analysis.beats(call.path["id"])
        return ok({"track_id": call.path["id"], "beats": beats.tolist()})

    async def get_downbeats(call: Call) -> Answer:
        """The times of all downbeats, the first beats of the bars."""
        _, downbeats = await analysis.beats(call.path["id"])
        return ok({"track_id": call.path["id"], "downbeats": downbeats.tolist()})

    async def get_waveform(call: Call) -> Raw:
        """The waveform for drawing, at one zoom level or at all.

        With `Accept: application/octet-stream` one level (0 unless `zoom` says otherwise) comes as six planes of bytes
        back to back: amplitude and intensity of the low, mid and high band. The headers `X-Waveform-Audio-Hash`,
        `-Zoom-Level`, `-Num-Pixels`, `-Samples-Per-Pixel` and `-Planes` describe them.
        """
        is_binary = _BINARY in call.request.headers.get("Accept", "")
        zoom = call.query["zoom"]
        audio_hash, found = await analysis.waveforms(call.path["id"], 0 if is_binary and zoom is None else zoom)
        if is_binary:
            return _binary(audio_hash, found[0])
        return _json(audio_hash, found, is_one=zoom is not None)

    async def get_waveforms(call: Call) -> Raw:
        """All zoom levels of a track's waveform."""
        audio_hash, found = await analysis.waveforms(call.path["id"])
        return _json(audio_hash, found, is_one=False)

    async def request_waveform(call: Call) -> Answer:
        """Ask for the waveform of a track: for its basic features, which it is part of."""
        job = await analysis.ensure(call.path["id"], "high", (Stage.BASIC_FEATURES,))
        return accepted(job.as_json(), f"/api/analysis/status/{job.audio_hash}")

    async def get_stems(call: Call) -> Answer:
        """Where the stems of a track are, while they are kept."""
        found = await analysis.stems(call.path["id"])
        return ok(
            {
                "stems": stems.urls(call.path["id"], found),
                "expires_at": stems.expiry(found),
            }
        )

    async def request_stems(call: Call) -> Answer:
        """Have the stems of a track made, before anything else.

        The client that `X-Mismo-Client` names gets `analysis:stems:ready`; without that header everybody does.
        """
        job = await analysis.ask_for_stems(call.path["id"], call.client_id)
        return accepted(job.as_json(), f"/api/analysis/status/{job.audio_hash}")

    async def get_stem(call: Call) -> web.StreamResponse:
        """One stem as an audio file. Ranges are supported."""
        found = await analysis.stems(call.path["id"])
        path = found.files.get(call.path["name"])
        if path is None:
            raise errors.NotFound(f"there is no stem {call.path['name']}; there are {', '.join(found.files)}")
        kind = CONTENT_TYPES.get(path.suffix.removeprefix("."), _BINARY)
        return web.FileResponse(path, headers={"Content-Type": kind, "Cache-Control": "private, no-store"})

    common: dict[str, Any] = {"tag": _TAG}
    job = schemas.AnalysisJob()
    return [
        Route("GET", "/tracks/{id}/beats", get_beats, returns=schemas.BeatsOut(), errors=[BeatsNotReady], **common),
        Route("GET", "/tracks/{id}/downbeats", get_downbeats, returns=schemas.DownbeatsOut(), errors=[BeatsNotReady],
              **common),
        Route("GET", "/tracks/{id}/waveform", get_waveform, query=schemas.ZoomQuery(), returns=schemas.WAVEFORMS,
              errors=[WaveformNotReady], **common),
        Route("POST", "/tracks/{id}/waveform", request_waveform, returns=job, status=202, errors=[NotHashed],
              **common),
        Route("GET", "/analysis/waveforms/{id}", get_waveforms, returns=schemas.WAVEFORM, is_list=True, is_paged=True,
              errors=[WaveformNotReady], **common),
        Route("GET", "/tracks/{id}/stems", get_stems, returns=schemas.StemsOut(), errors=[StemsNotReady], **common),
        Route("POST", "/tracks/{id}/stems", request_stems, returns=job, status=202, errors=[NotHashed],
              is_personal=True, **common),
        Route("GET", "/tracks/{id}/stems/{name}", get_stem, produces="audio/*", is_enveloped=False,
              errors=[StemsNotReady], **common),
    ]  # fmt: skip


def _json(audio_hash: str, found: Sequence[Waveform], *, is_one: bool) -> Raw:
    shown = [{"audio_hash": audio_hash, **item.as_json()} for item in found]
    etag = xxhash.xxh3_64_hexdigest("".join(item.etag for item in found).encode())
    answer = ok(shown[0]) if is_one else Answer(data=shown, pagination=Pagination.whole(len(shown)))
    return Raw(
        body=answer.body(),
        content_type="application/json",
        headers={"ETag": f'"{etag}"', "Cache-Control": _KEPT, "Vary": "Accept"},
    )


def _binary(audio_hash: str, item: Waveform) -> Raw:
    return Raw(
        body=item.planes,
        content_type=_BINARY,
        headers={
            "ETag": item.etag,
            "Cache-Control": _KEPT,
            "Vary": "Accept",
            "X-Waveform-Audio-Hash": audio_hash,
            "X-Waveform-Zoom-Level": str(item.zoom_level),
            "X-Waveform-Num-Pixels": str(item.num_pixels),
            "X-Waveform-Samples-Per-Pixel": _plain(item.samples_per_pixel),
            "X-Waveform-Planes": ",".join(f"{band}_{measure}" for band, measure in PLANES),
        },
    )


def _plain(value: float) -> str:
    """All its digits; a whole number without a point."""
    return str(int(value)) if value == int(value) else repr(value)
