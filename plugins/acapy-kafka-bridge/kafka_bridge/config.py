"""What the agent's plugin configuration says of the bridge."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# The sections that the Kafka plugins have in the file; this reads of them which
# events go out, and the bridge reads the rest.
KAFKA_SECTIONS = ("kafka_events", "kafka_queue", "kafka", "kafka-queue")
OWN_SECTION = "kafka_bridge"

PATTERNS = (
    "acapy::outbound::.*",
    "acapy::webhook::.*",
    "acapy::record::.*",
    "acapy::basicmessage::.*",
)
OUTBOUND = "acapy::outbound::.*"


class ConfigError(ValueError):
    """The configuration is wrong; the agent does not start."""


@dataclass(frozen=True)
class Config:
    """Where the bridge is, and which events it gets."""

    url: str = "http://127.0.0.1:5010"
    api_key: str | None = field(default=None, repr=False)
    # Seconds that an event is tried for while the bridge is away; 0 is for ever.
    retry_seconds: float = 300.0
    # Regular expressions of bus topics.
    patterns: tuple[str, ...] = PATTERNS

    @staticmethod
    def read(plugins: Mapping[str, Any], environment: Mapping[str, str] = os.environ) -> Config:
        """The settings of all plugins, as the agent has read its file.

        BRIDGE_URL and BRIDGE_API_KEY go before the section kafka_bridge.
        """
        own = plugins.get(OWN_SECTION) or {}
        if not isinstance(own, Mapping):
            raise ConfigError(f"{OWN_SECTION} must be a table")
        unknown = set(own) - {"url", "api_key", "retry_seconds"}
        if unknown:
            raise ConfigError(
                f"{OWN_SECTION}: there is no option {sorted(unknown)[0]!r}: "
                "there are url, api_key and retry_seconds"
            )
        url = environment.get("BRIDGE_URL") or own.get("url") or Config.url
        if not isinstance(url, str) or not url.startswith(("http://", "https://")):
            raise ConfigError(f"{OWN_SECTION}: {url!r} is no URL: write it like {Config.url}")
        return Config(
            url=url.rstrip("/"),
            api_key=_api_key(environment.get("BRIDGE_API_KEY") or own.get("api_key")),
            retry_seconds=_seconds(own.get("retry_seconds", Config.retry_seconds)),
            patterns=_patterns(plugins),
        )


def _seconds(value: object) -> float:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0:
        return float(value)
    raise ConfigError(f"{OWN_SECTION}: retry_seconds must be a number of seconds, not {value!r}")


def _api_key(key: object) -> str | None:
    """What can stand in a header; of a number YAML would drop the zeros before it."""
    if not key:
        return None
    if not isinstance(key, str) or not key.isascii() or not key.isprintable():
        raise ConfigError(f"{OWN_SECTION}: api_key must be a text in quotes, of ASCII on one line")
    return key


def _patterns(plugins: Mapping[str, Any]) -> tuple[str, ...]:
    """The keys of the topic map where there is one, and what is outbound."""
    for section in KAFKA_SECTIONS:
        events = _table(section, plugins.get(section)).get("events")
        events = _table(f"{section}: events", events)
        for name in ("topic_maps", "topic-maps"):
            topic_map = _table(f"{section}: events: {name}", events.get(name))
            if topic_map:
                return (OUTBOUND, *(_pattern(section, pattern) for pattern in topic_map))
    return PATTERNS


def _table(place: str, value: object) -> Mapping[str, Any]:
    if value is None:
        return {}
    if isinstance(value, Mapping):
        return value
    raise ConfigError(f"{place} must be a table")


def _pattern(section: str, pattern: object) -> str:
    place = f"{section}: events: topic_maps"
    if not isinstance(pattern, str):
        raise ConfigError(f"{place}: {pattern!r} must be a text in quotes")
    try:
        re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"{place}: {pattern!r} is no regular expression: {error}") from error
    return pattern
