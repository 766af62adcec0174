"""Words between two processes of one server, over a socket that nobody else has."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from server.scanning import frame

_TOLD, _ASKED, _ANSWER = "told", "asked", "answer"


class Gone(Exception):
    """The other process has ended."""


class Pipe:
    """What one side tells or asks, the other one's `verbs` hear, in the order it was said.

    A verb may return an awaitable; what comes of it is the answer to who has asked. What the verb does before that is
    done when the next one is heard.
    """

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        verbs: Mapping[str, Callable[..., Any]],
        at_end: Callable[[], None] = lambda: None,
    ):
        """`at_end` is called as soon as the other side has gone."""
        self._reader = reader
        self._writer = writer
        self._verbs = verbs
        self._at_end = at_end
        self._is_gone = False
        self._asked = 0
        self._waiting: dict[int, asyncio.Future[Any]] = {}

    def tell(self, verb: str, *words: Any) -> None:
        """Say something that is nobody's loss if the other side has gone."""
        self._send(_TOLD, 0, verb, words)

    def ask(self, verb: str, *words: Any) -> asyncio.Future[Any]:
        """Asked at once. To wait for the answer raises `Gone` when the other side ends before it has given one."""
        answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        if self._is_gone:
            answer.set_exception(Gone())
            return answer
        self._asked += 1
        number = self._asked
        self._waiting[number] = answer
        answer.add_done_callback(lambda _: self._waiting.pop(number, None))
        self._send(_ASKED, number, verb, words)
        return answer

    def close(self) -> None:
        self._writer.close()

    async def run(self) -> None:
        """Hear the other side until it has gone; what it asked and waits for is dropped then."""
        try:
            async with asyncio.TaskGroup() as group:
                answering: set[asyncio.Task[None]] = set()
                while (message := await self._hear()) is not None:
                    kind, number, verb, words = message
                    if kind == _ANSWER:
                        self._take(number, words)
                    elif (coming := self._verbs[verb](*words)) is not None:
                        task = group.create_task(self._answer(number if kind == _ASKED else None, coming))
                        answering.add(task)
                        task.add_done_callback(answering.discard)
                self._at_end()
                for task in answering:
                    task.cancel()
        finally:
            self._is_gone = True
            self._writer.close()
            for answer in list(self._waiting.values()):
                if not answer.done():
                    answer.set_exception(Gone())

    async def _hear(self) -> Any:
        """The next message; None when there will be none."""
        try:
            return await receive(self._reader)
        except (asyncio.IncompleteReadError, ConnectionError):
            return None

    async def _answer(self, number: int | None, coming: Awaitable[Any]) -> None:
        answer = await coming
        if number is not None:
            self._send(_ANSWER, number, "", answer)

    def _take(self, number: int, answer: Any) -> None:
        waiting = self._waiting.get(number)
        if waiting is not None and not waiting.done():
            waiting.set_result(answer)

    def _send(self, *message: Any) -> None:
        if not self._is_gone:
            send(self._writer, message)


def send(writer: asyncio.StreamWriter, message: Any) -> None:
    writer.write(frame.pack(message))


async def receive(reader: asyncio.StreamReader) -> Any:
    """Raises `IncompleteReadError` or `ConnectionError` when the other side has gone."""
    head = await reader.readexactly(frame.HEAD)
    return frame.unpack(await reader.readexactly(frame.length(head)))
