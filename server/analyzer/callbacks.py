"""Delivering results to whoever ordered them."""

import asyncio
import random

import aiohttp
import structlog

ATTEMPTS = 10
FIRST_PAUSE, LONGEST_PAUSE = 0.5, 30.0
"""Seconds between attempts; they double each time, so all of them take some three minutes."""

_TIMEOUT = aiohttp.ClientTimeout(total=60, sock_connect=10)
_TRY_AGAIN = {408, 425, 429}

logger = structlog.get_logger(__name__)


class Undeliverable(Exception):
    """A callback wasn't accepted. `refused` is the status when the other side said no, else None."""

    def __init__(self, message: str, refused: int | None = None) -> None:
        super().__init__(message)
        self.refused = refused


class Courier:
    """Posts callbacks until they are accepted with a 2xx. Redirects aren't followed: they could lead anywhere."""

    def __init__(self, session: aiohttp.ClientSession, first_pause: float = FIRST_PAUSE) -> None:
        self._session = session
        self._first_pause = first_pause

    async def deliver(self, url: str, body: bytes) -> None:
        """Raises Undeliverable at once when the other side refuses (4xx), else when all attempts are used up."""
        trouble = ""
        for attempt in range(ATTEMPTS):
            if attempt:
                pause = min(self._first_pause * 2 ** (attempt - 1), LONGEST_PAUSE)
                await asyncio.sleep(pause * random.uniform(0.75, 1.25))  # noqa: S311 (jitter, not a secret)
            try:
                status = await self._post(url, body)
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                trouble = str(error) or type(error).__name__
            else:
                if status // 100 == 2:
                    return
                if status // 100 == 4 and status not in _TRY_AGAIN:
                    raise Undeliverable(f"the callback was refused with status {status}", status)
                trouble = f"status {status}"
            logger.warning("callback not delivered", attempt=attempt + 1, of=ATTEMPTS, reason=trouble)
        raise Undeliverable(f"no callback was accepted in {ATTEMPTS} attempts: {trouble}")

    async def _post(self, url: str, body: bytes) -> int:
        headers = {"Content-Type": "application/json"}
        async with self._session.post(
            url, data=body, headers=headers, timeout=_TIMEOUT, allow_redirects=False
        ) as answer:
            return answer.status


def session() -> aiohttp.ClientSession:
    """A session that uses no proxy: a callback goes where its URL says."""
    return aiohttp.ClientSession(trust_env=False)
