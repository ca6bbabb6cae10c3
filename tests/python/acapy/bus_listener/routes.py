"""Puts events on the bus when it is asked to."""

from aiohttp import web
from aries_cloudagent.core.event_bus import Event, EventBus


async def emit(request):
    context = request["context"]
    payload = await request.json()
    bus = context.inject(EventBus)
    await bus.notify(context.profile, Event(request.query["topic"], payload))
    return web.json_response({})


async def register(app):
    app.add_routes([web.post("/emit", emit)])
