"""The bridge, over HTTP."""

from __future__ import annotations

import asyncio
import json
import logging
import random
import time
from enum import Enum
from typing import Any

import aiohttp

from .config import Config

LOGGER = logging.getLogger(__name__)

# The bridge answers when Kafka has acknowledged: longer than that may take.
TIMEOUT = aiohttp.ClientTimeout(total=120, connect=5)
FIRST_PAUSE = 0.2
LONGEST_PAUSE = 10.0
# What no retry changes: the event itself is wrong, too large or not wanted. A
# bridge never answers 404 to an event: that is something else at its address.
REFUSED = frozenset({400, 413, 422})
STOPPED = 409


class Sent(Enum):
    """What became of an event."""

    ACKNOWLEDGED = "sent_to_external_queue"
    UNDELIVERABLE = "undeliverable"


class BridgeAway(Exception):
    """The bridge does not answer, or not as a bridge does."""


class Bridge:
    """Sends events, one after another."""

    def __init__(self, config: Config) -> None:
        self._config = config
        self._session: aiohttp.ClientSession | None = None

    async def send(self, topic: str, payload: Any, wallet_id: str | None, event_id: str) -> Sent:
        """Returns when Kafka has the event, or will not get it."""
        query = {"topic": topic, "id": event_id}
        if wallet_id:
            query["wallet_id"] = wallet_id
        try:
            body = json.dumps(payload).encode()
        except (TypeError, ValueError, RecursionError) as error:
            LOGGER.error("event %s is no JSON: %s", topic, error)
            return Sent.UNDELIVERABLE
        began, pause, told = time.monotonic(), FIRST_PAUSE, False
        while True:
            try:
                status, answer = await self._ask("POST", "/event", query, body)
            except BridgeAway as error:
                status, answer = 503, str(error)
            # In the bridge's own words: what else is at its address may say 200 too.
            if status == 200 and Sent.ACKNOWLEDGED.value in answer:
                return Sent.ACKNOWLEDGED
            if status == STOPPED and Sent.UNDELIVERABLE.value in answer:
                return Sent.UNDELIVERABLE
            if status in REFUSED:
                LOGGER.error("event %s is refused by the bridge: %s", topic, answer)
                return Sent.UNDELIVERABLE
            limit = self._config.retry_seconds
            if limit and time.monotonic() - began > limit:
                LOGGER.error("event %s is given up after %s s: %s", topic, limit, answer)
                return Sent.UNDELIVERABLE
            if not told:
                LOGGER.warning("event %s waits for the bridge: %s", topic, answer)
                told = True
            await asyncio.sleep(pause * random.uniform(0.5, 1.0))
            pause = min(pause * 2, LONGEST_PAUSE)

    async def order(self, name: str) -> Any:
        """`start` or `stop`; what the bridge answers."""
        status, answer = await self._ask("GET", f"/kafka/{name}")
        if status != 200:
            raise BridgeAway(f"it answers {status}: {answer}")
        try:
            return json.loads(answer)
        except ValueError as error:
            raise BridgeAway(f"it answers no JSON: {error}") from error

    async def close(self) -> None:
        """Ends the connections."""
        if self._session:
            await self._session.close()
            self._session = None

    async def _ask(
        self,
        method: str,
        path: str,
        query: dict[str, str] | None = None,
        body: bytes | None = None,
    ) -> tuple[int, str]:
        if self._session is None:
            # Shorter than the bridge keeps an idle connection.
            connector = aiohttp.TCPConnector(keepalive_timeout=5)
            self._session = aiohttp.ClientSession(timeout=TIMEOUT, connector=connector)
        headers = {"content-type": "application/json"}
        if self._config.api_key:
            headers["x-api-key"] = self._config.api_key
        url = self._config.url + path
        request = self._session.request(method, url, params=query, data=body, headers=headers)
        try:
            async with request as response:
                # A proxy's own words may be in any encoding.
                return response.status, await response.text(errors="replace")
        except (aiohttp.ClientError, asyncio.TimeoutError, OSError) as error:
            raise BridgeAway(f"{self._config.url}: {error or 'no answer in time'}") from error
