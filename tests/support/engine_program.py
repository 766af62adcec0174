"""A stand-in audio engine as a program of its own: the engine's side of the websocket, told what to do line by line.

`python engine_program.py [--port N]`. It reads commands from standard input and reports to standard output, one JSON
object a line. Commands: `send` (`text`, or `base64` of a text frame's bytes), `abort`, `close`, `flap` (`times`,
`text`): let the link come up so many times, send a text each time, and cut it off without a word; and `stand_still`
(`texts`): read nothing any more, send the texts, and stop the whole process as SIGSTOP does. It reports `listening`,
`connected`, `message`, `standing_still` and `disconnected`.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import json
import os
import signal
import socket
import sys
from typing import Any

from websockets.asyncio.server import ServerConnection, serve
from websockets.exceptions import ConnectionClosed


def report(what: str, **content: Any) -> None:
    sys.stdout.write(json.dumps({"report": what, **content}) + "\n")
    sys.stdout.flush()


class Engine:
    def __init__(self) -> None:
        self.connection: ServerConnection | None = None
        self.flaps_left = 0
        self.text_of_flap = ""

    async def handle(self, connection: ServerConnection) -> None:
        try:
            async for text in connection:
                message = json.loads(text)
                if message.get("type") != "appServerIdentify":
                    report("message", message=message)
                    continue
                await connection.send('{"type":"welcome","message":"hello"}')
                self.connection = connection
                report("connected", identify=message)
                await self.flap()
        except ConnectionClosed:
            pass  # how a link ends is up to whoever tells this program what to do
        finally:
            if self.connection is connection:
                self.connection = None
            report("disconnected", code=connection.close_code)

    async def flap(self) -> None:
        if self.flaps_left and self.connection is not None:
            self.flaps_left -= 1
            await self.connection.send(self.text_of_flap)
            self.connection.transport.abort()

    async def obey(self, command: dict[str, Any]) -> None:
        connection, do = self.connection, command["do"]
        if do == "flap":
            self.flaps_left, self.text_of_flap = command["times"], command["text"]
            await self.flap()
        elif connection is None:
            return  # an engine that plays on without a link speaks to nobody
        elif do == "send" and "base64" in command:
            await connection.send(base64.b64decode(command["base64"]), text=True)
        elif do == "send":
            await connection.send(command["text"])
        elif do == "stand_still":
            connection.transport.pause_reading()
            # Or else the kernel would read on for it, tens of megabytes.
            plug = connection.transport.get_extra_info("socket")
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
            for text in command["texts"]:
                await connection.send(text)
            report("standing_still")
            os.kill(os.getpid(), signal.SIGSTOP)
        elif do == "close":
            await connection.close(1001, "going away")
        elif do == "abort":
            connection.transport.abort()


async def main(port: int) -> None:
    engine = Engine()
    loop = asyncio.get_running_loop()
    lines = asyncio.StreamReader(limit=64 * 1024 * 1024)
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), sys.stdin)
    # No pings of its own: what keeps the link alive, or finds it dead, is the other side's.
    async with serve(engine.handle, "127.0.0.1", port, max_size=None, ping_interval=None) as server:
        report("listening", port=next(iter(server.sockets)).getsockname()[1])
        while line := await lines.readline():
            try:
                await engine.obey(json.loads(line))
            except ConnectionClosed:
                continue


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    asyncio.run(main(parser.parse_args().port))
