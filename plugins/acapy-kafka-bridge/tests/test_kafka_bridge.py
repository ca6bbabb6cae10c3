"""What the plugin promises, against a bridge that does what a test says."""

from __future__ import annotations

import json
import re
import unittest
from types import SimpleNamespace
from typing import Any

from aiohttp import web
from aiohttp.test_utils import TestClient, TestServer
from aries_cloudagent.core.event_bus import Event, EventBus
from aries_cloudagent.core.in_memory import InMemoryProfile

from kafka_bridge import routes
from kafka_bridge.bus import Bus
from kafka_bridge.client import Bridge, BridgeAway, Sent
from kafka_bridge.config import PATTERNS, Config, ConfigError


class FakeBridge:
    """Answers with the statuses it is given, then with 200."""

    def __init__(self) -> None:
        self.statuses: list[int] = []
        self.events: list[tuple[dict[str, str], Any]] = []
        self.keys: list[str | None] = []
        # What it says beside these.
        self.text = b"{}"
        app = web.Application()
        app.router.add_post("/event", self._event)
        app.router.add_get("/kafka/{name}", self._order)
        self.server = TestServer(app)

    async def _event(self, request: web.Request) -> web.Response:
        self.keys.append(request.headers.get("x-api-key"))
        if self.statuses:
            status = self.statuses.pop(0)
            return web.Response(body=self.text, status=status, content_type="text/html")
        self.events.append((dict(request.query), await request.json()))
        return web.json_response({"status": "sent_to_external_queue"})

    async def _order(self, request: web.Request) -> web.Response:
        ended = {"start": "started", "stop": "stopped"}.get(request.match_info["name"])
        if not ended:
            return web.Response(text="no JSON")
        return web.json_response({"result": f"Kafka plugin {ended}"})


class BridgeCase(unittest.IsolatedAsyncioTestCase):
    async def asyncSetUp(self) -> None:
        self.fake = FakeBridge()
        await self.fake.server.start_server()
        url = str(self.fake.server.make_url("")).rstrip("/")
        self.config = Config(url=url, api_key="k", retry_seconds=30)
        self.bridge = Bridge(self.config)
        self.event_bus = EventBus()
        self.bus = Bus(self.config, self.bridge, self.event_bus)
        self.bus.join()
        self.profile = InMemoryProfile.test_profile({"wallet.id": "w"})
        self.seen: list[str] = []
        self.event_bus.subscribe(re.compile(".*"), self._see)

    async def asyncTearDown(self) -> None:
        await self.bridge.close()
        await self.fake.server.close()

    async def _see(self, _profile: Any, event: Event) -> None:
        self.seen.append(event.topic)

    async def _emit(self, topic: str, payload: Any = None) -> None:
        await self.event_bus.notify(self.profile, Event(topic, payload or {}))

    async def test_every_event_of_the_patterns_goes_out_once_and_in_order(self) -> None:
        for number in range(20):
            await self._emit("acapy::record::connections::active", {"n": number})
        await self._emit("acapy::ping::received")
        self.assertEqual([body["n"] for _, body in self.fake.events], list(range(20)))
        query = self.fake.events[0][0]
        self.assertEqual(query["topic"], "acapy::record::connections::active")
        self.assertEqual(query["wallet_id"], "w")
        self.assertEqual(len({query["id"] for query, _ in self.fake.events}), 20)
        self.assertEqual(set(self.fake.keys), {"k"})

    async def test_an_outbound_event_is_followed_by_its_status_and_that_goes_nowhere(self) -> None:
        await self._emit("acapy::outbound::message", {"a": 1})
        self.assertIn("acapy::outbound::message::sent_to_external_queue", self.seen)
        self.assertEqual(len(self.fake.events), 1)

    async def test_no_status_follows_an_event_that_the_agent_makes_webhooks_of(self) -> None:
        await self._emit("acapy::webhook::connections")
        self.assertEqual(self.seen, ["acapy::webhook::connections"])

    async def test_while_the_bridge_is_stopped_an_outbound_event_is_undeliverable(self) -> None:
        self.fake.statuses = [409]
        self.fake.text = b'{"status":"undeliverable"}'
        await self._emit("acapy::outbound::message")
        self.assertIn("acapy::outbound::message::undeliverable", self.seen)

    async def test_an_event_is_tried_again_under_one_id_until_kafka_has_it(self) -> None:
        self.fake.statuses = [503, 500, 502]
        sent = await self.bridge.send("acapy::outbound::message", {}, None, "7")
        self.assertEqual(sent, Sent.ACKNOWLEDGED)
        self.assertEqual(self.fake.events[0][0]["id"], "7")

    async def test_what_the_bridge_refuses_is_given_up_at_once(self) -> None:
        for status in (400, 413, 422):
            self.fake.statuses = [status]
            sent = await self.bridge.send("acapy::outbound::message", {}, None, "1")
            self.assertEqual(sent, Sent.UNDELIVERABLE)
        self.assertEqual(len(self.fake.keys), 3)

    async def test_what_something_else_at_the_bridges_address_says_costs_no_event(self) -> None:
        self.fake.statuses = [404, 405, 401, 200, 409]
        self.fake.text = b"\xff\xfe no bridge here"
        sent = await self.bridge.send("acapy::outbound::message", {}, None, "1")
        self.assertEqual(sent, Sent.ACKNOWLEDGED)
        self.assertEqual(len(self.fake.events), 1)
        with self.assertRaises(BridgeAway):
            await self.bridge.order("status")

    async def test_a_payload_that_is_no_json_is_undeliverable(self) -> None:
        nested: list[Any] = []
        for _ in range(100_000):
            nested = [nested]
        for payload in ({"a": object()}, nested):
            sent = await self.bridge.send("acapy::outbound::message", payload, None, "1")
            self.assertEqual(sent, Sent.UNDELIVERABLE)

    async def test_an_event_is_given_up_after_the_configured_time(self) -> None:
        await self.fake.server.close()
        bridge = Bridge(Config(url=self.config.url, retry_seconds=0.1))
        sent = await bridge.send("acapy::outbound::message", {}, None, "1")
        await bridge.close()
        self.assertEqual(sent, Sent.UNDELIVERABLE)

    async def test_orders_are_passed_on(self) -> None:
        self.assertEqual(await self.bridge.order("start"), {"result": "Kafka plugin started"})
        self.assertEqual(await self.bridge.order("stop"), {"result": "Kafka plugin stopped"})
        await self.fake.server.close()
        with self.assertRaises(BridgeAway):
            await self.bridge.order("start")

    async def test_a_record_that_comes_again_is_published_once(self) -> None:
        for new in (True, False):
            done = await self.bus.publish(self.profile, "acapy::inbound::test", {}, "t/0/1/2")
            self.assertEqual(done, new)
        # Another record of the same offset, in a topic that was made anew.
        self.assertTrue(await self.bus.publish(self.profile, "acapy::inbound::test", {}, "t/0/1/3"))
        self.assertEqual(self.seen, ["acapy::inbound::test"] * 2)

    async def test_a_record_that_cannot_be_read_is_refused_for_good(self) -> None:
        app = web.Application()
        await routes.register(app)
        context = SimpleNamespace(profile=self.profile, inject=lambda _: self.bus)

        @web.middleware
        async def with_context(request: web.Request, handler: Any) -> Any:
            request["context"] = context
            return await handler(request)

        app.middlewares.append(with_context)
        async with TestClient(TestServer(app)) as client:
            for body in (b"no json", b"\xff", b"[" * 100_000 + b"]" * 100_000):
                answer = await client.post("/kafka/records?topic=acapy::inbound::test", data=body)
                self.assertEqual(answer.status, 422)
            answer = await client.post("/kafka/records?topic=acapy::inbound::test", data=b"[1]")
            self.assertEqual((answer.status, await answer.json()), (200, {"new": True}))
        self.assertEqual(self.seen, ["acapy::inbound::test"])


class ConfigCase(unittest.TestCase):
    def test_without_any_section_the_bridge_is_on_this_machine(self) -> None:
        config = Config.read({}, {})
        self.assertEqual(config.url, "http://127.0.0.1:5010")
        self.assertEqual(config.patterns, PATTERNS)

    def test_the_environment_goes_before_the_section(self) -> None:
        plugins = {"kafka_bridge": {"url": "http://a:1/", "api_key": "x", "retry_seconds": 5}}
        self.assertEqual(Config.read(plugins, {}).url, "http://a:1")
        self.assertEqual(Config.read(plugins, {}).retry_seconds, 5)
        config = Config.read(plugins, {"BRIDGE_URL": "http://b:2", "BRIDGE_API_KEY": "y"})
        self.assertEqual((config.url, config.api_key), ("http://b:2", "y"))
        self.assertNotIn("y'", repr(config))

    def test_a_topic_map_says_which_events_go_out(self) -> None:
        plugins = json.loads('{"kafka_queue": {"events": {"topic_maps": {"^acapy::x": "t"}}}}')
        self.assertEqual(Config.read(plugins, {}).patterns, ("acapy::outbound::.*", "^acapy::x"))

    def test_what_is_wrong_is_told(self) -> None:
        sections: list[Any] = [
            {"uri": "http://a"},
            {"url": "a"},
            {"retry_seconds": "soon"},
            {"api_key": 12345},
            {"api_key": "a\nb"},
            ["url"],
        ]
        for section in sections:
            with self.assertRaises(ConfigError):
                Config.read({"kafka_bridge": section}, {})
        events: list[Any] = [1, {"events": 1}, {"events": {"topic_maps": ["^acapy::x"]}}]
        events += [{"events": {"topic_maps": {pattern: "t"}}} for pattern in ("acapy::(", 1)]
        for section in events:
            with self.assertRaises(ConfigError):
                Config.read({"kafka_queue": section}, {})


if __name__ == "__main__":
    unittest.main()
