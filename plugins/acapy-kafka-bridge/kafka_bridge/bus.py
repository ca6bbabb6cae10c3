"""The agent's event bus, joined to the bridge."""

from __future__ import annotations

import asyncio
import re
import uuid
from collections import OrderedDict
from typing import Any

from aries_cloudagent.core.event_bus import Event, EventBus
from aries_cloudagent.core.profile import Profile

from .client import Bridge, Sent
from .config import Config

OUTBOUND = "acapy::outbound::"
STATUSES = tuple(f"::{sent.value}" for sent in Sent)

# Records that are remembered, to tell one that comes again.
REMEMBERED = 10_000


class Bus:
    """One for each agent."""

    def __init__(self, config: Config, bridge: Bridge, bus: EventBus) -> None:
        self.bridge = bridge
        self._bus = bus
        self._pattern = re.compile("|".join(f"(?:{pattern})" for pattern in config.patterns))
        # Events go out in the order in which they happen.
        self._turn = asyncio.Lock()
        self._run = uuid.uuid4().hex
        self._count = 0
        # A record that comes again while it is taken waits for the end of that.
        self._taking = asyncio.Lock()
        self._taken: OrderedDict[str, None] = OrderedDict()

    def join(self) -> None:
        """From now on every event of the patterns goes to the bridge, once."""
        # One subscription: the bus tells an event once for each.
        self._bus.subscribe(self._pattern, self._out)

    async def _out(self, profile: Profile, event: Event) -> None:
        # The status of an event is no event to send.
        if event.topic.endswith(STATUSES):
            return
        async with self._turn:
            self._count += 1
            wallet_id = profile.settings.get("wallet.id")
            event_id = f"{self._run}-{self._count}"
            sent = await self.bridge.send(event.topic, event.payload, wallet_id, event_id)
        # A status of other events would reach those who listen to these: the
        # agent itself makes a webhook of each.
        if event.topic.startswith(OUTBOUND):
            await self._bus.notify(profile, Event(f"{event.topic}::{sent.value}", event.payload))

    async def publish(self, profile: Profile, topic: str, payload: Any, record: str | None) -> bool:
        """Puts a record on the bus, unless that was done before.

        Returns when everything that listens has had it; whether it was new.
        """
        async with self._taking:
            if record is not None and record in self._taken:
                return False
            await self._bus.notify(profile, Event(topic, payload))
            if record is not None:
                self._taken[record] = None
                while len(self._taken) > REMEMBERED:
                    self._taken.popitem(last=False)
            return True
