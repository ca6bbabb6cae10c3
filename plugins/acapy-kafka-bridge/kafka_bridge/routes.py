"""What the agent's admin server offers beside its own."""

from __future__ import annotations

import json

from aiohttp import web
from aries_cloudagent.admin.request_context import AdminRequestContext

from .bus import Bus
from .client import BridgeAway


def _of(request: web.Request) -> tuple[AdminRequestContext, Bus]:
    context: AdminRequestContext = request["context"]
    return context, context.inject(Bus)


async def start(request: web.Request) -> web.Response:
    """Let events and records through."""
    return await _order(request, "start")


async def stop(request: web.Request) -> web.Response:
    """Let nothing through: events are undeliverable, records wait on Kafka."""
    return await _order(request, "stop")


async def _order(request: web.Request, name: str) -> web.Response:
    _, bus = _of(request)
    try:
        return web.json_response(await bus.bridge.order(name))
    except BridgeAway as error:
        return web.Response(status=503, text=f"the bridge is away: {error}")


async def records(request: web.Request) -> web.Response:
    """Take a record of Kafka, from the bridge alone."""
    context, bus = _of(request)
    topic = request.query.get("topic")
    if not topic:
        return web.Response(status=404, text="topic is missing in the query")
    try:
        payload = json.loads(await request.read())
    except (ValueError, RecursionError) as error:
        return web.Response(status=422, text=f"not JSON: {error}")
    new = await bus.publish(context.profile, topic, payload, request.query.get("record"))
    return web.json_response({"new": new})


async def register(app: web.Application) -> None:
    """As the agent's admin server calls it."""
    app.add_routes(
        [
            web.get("/kafka/start", start, allow_head=False),
            web.get("/kafka/stop", stop, allow_head=False),
            web.post("/kafka/records", records),
        ]
    )
