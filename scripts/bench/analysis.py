"""What an analysis costs, and how fast a waveform arrives.

python -m scripts.bench.analysis [--minutes 5 120] [--requests 500]

Processor time and memory are those of a worker of the embedded analyser, its libraries included, for a track of so many
minutes; beside them, what decoding alone takes. Waveforms are the three zoom levels as bytes over HTTP; beside them,
as many requests that answer next to nothing.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import socket
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import orjson

from scripts.bench.measure import cpu_seconds, percentile, show
from scripts.bench.mismo import Mismo
from server.analyzer.process import CPU_LIMIT, MEMORY_LIMIT
from server.analyzer.stages import Stage
from server.analyzer.worker import Order
from tests.analyzer import encoding, tracks

ZOOMS = (0, 1, 2)
_DECODE = "import sys; from server.analyzer import decode; [0 for _ in decode.open_recording(sys.argv[1]).blocks()]"


def track(folder: Path, minutes: float) -> Path:
    """An MP3 of a loop of a minute, over and over."""
    described = tracks.Description(128, "breakbeat", tonic=9, mode="minor", progression="i-iv-v-i", seconds=60.6)
    minute = tracks.render(described)
    audio = minute.audio[:, : 60 * minute.rate]
    whole = np.tile(audio, (1, max(1, round(minutes))))
    return encoding.write(folder / f"{minutes:g}.mp3", whole, minute.rate)


def used(*command: str, stdin: bytes = b"") -> tuple[float, float]:
    """Processor seconds and most resident MB of a command."""
    process = subprocess.Popen(
        [sys.executable, *command], stdin=subprocess.PIPE, stdout=subprocess.DEVNULL,
        env={**os.environ, "OPENBLAS_NUM_THREADS": "1"},
    )  # fmt: skip
    assert process.stdin is not None
    process.stdin.write(stdin)
    process.stdin.close()
    # wait4 alone tells what one process used.
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if status:
        raise RuntimeError(f"{command} ended with status {process.returncode}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6


def free_port() -> int:
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        port: int = listening.getsockname()[1]
        return port


def analyses(folder: Path, minutes: list[float]) -> None:
    stages = (Stage.BASIC_FEATURES, Stage.CHARACTERISTICS)
    for length in minutes:
        # In a process of its own: a child's peak memory counts from its parent's.
        with ProcessPoolExecutor(1) as pool:
            path = pool.submit(track, folder, length).result()
        order = Order(str(path), stages, str(folder), "flac", MEMORY_LIMIT, CPU_LIMIT)
        figure = used("-m", "server.analyzer.worker", stdin=order.encode())
        floor = used("-c", _DECODE, str(path))
        worded, floor_worded = (f"{cpu:.2f} s, {memory:.0f} MB" for cpu, memory in (figure, floor))
        show(f"{length:g} minutes: first stages, decoding alone", worded, floor_worded, figure[0] / floor[0])
        path.unlink()


async def waveforms(folder: Path, requests: int) -> None:
    music = folder / "music"
    music.mkdir()
    track(music, 1)
    port = free_port()
    server = {
        "ANALYSIS_SERVER_URL": f"http://127.0.0.1:{port}",
        "ANALYSIS_SERVER_COMMAND": f"{sys.executable} -m server.analyzer --port {port}",
    }
    async with Mismo.started(folder / "library.db", **server) as mismo:
        await mismo.scan(await mismo.add(music))
        found = (await mismo.call("GET", "/api/tracks"))[0]
        async with mismo.session.ws_connect("/ws?topics=analysis:complete&since=0", max_msg_size=0) as socket:
            await mismo.call("POST", "/api/analysis/request", {"track_id": found["id"]})
            while not orjson.loads((await socket.receive()).data).get("events"):
                pass
        url = f"/api/tracks/{found['id']}/waveform"
        figure = await _times(mismo, [f"{url}?zoom={zoom}" for zoom in ZOOMS], requests)
        floor = await _times(mismo, ["/livez"] * len(ZOOMS), requests)
    for name, of, unit in (("p50", 0, "ms"), ("p99", 1, "ms"), ("server's processor time", 2, "ms")):
        show(f"three zooms, {name}", f"{figure[of]:.2f} {unit}", f"{floor[of]:.2f} {unit}", figure[of] / floor[of])


async def _times(mismo: Mismo, paths: list[str], rounds: int) -> tuple[float, float, float]:
    """Median and 99th percentile of the time for all paths, one after the other, and the server's; in ms."""
    times = []
    before = cpu_seconds(mismo.pid)
    for _ in range(rounds):
        started = time.perf_counter()
        for path in paths:
            async with mismo.session.get(path, headers={"Accept": "application/octet-stream, */*"}) as answer:
                content = await answer.read()
                if answer.status != 200 or not content:
                    raise RuntimeError(f"{path} answers {answer.status}")
        times.append((time.perf_counter() - started) * 1000)
    spent = (cpu_seconds(mismo.pid) - before) / rounds * 1000
    return percentile(times, 0.5), percentile(times, 0.99), spent


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, nargs="*", default=[5.0, 120.0])
    parser.add_argument("--requests", type=int, default=500)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as name:
        analyses(Path(name), given.minutes)
        await waveforms(Path(name), given.requests)


if __name__ == "__main__":
    asyncio.run(main())
