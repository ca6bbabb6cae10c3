"""Joins the event bus of an ACA-Py agent to Kafka, by way of a bridge process."""

from __future__ import annotations

import logging

from aries_cloudagent.config.injection_context import InjectionContext
from aries_cloudagent.core.event_bus import Event, EventBus
from aries_cloudagent.core.profile import Profile
from aries_cloudagent.core.util import SHUTDOWN_EVENT_PATTERN

from .bus import Bus
from .client import Bridge
from .config import Config

LOGGER = logging.getLogger(__name__)


async def setup(context: InjectionContext) -> None:
    """As the agent calls it at its start."""
    config = Config.read(context.settings.get("plugin_config") or {})
    event_bus = context.inject(EventBus)
    bridge = Bridge(config)
    bus = Bus(config, bridge, event_bus)
    context.injector.bind_instance(Bus, bus)
    bus.join()

    async def on_shutdown(_profile: Profile, _event: Event) -> None:
        await bridge.close()

    event_bus.subscribe(SHUTDOWN_EVENT_PATTERN, on_shutdown)
    LOGGER.info("events go to the bridge at %s", config.url)
