"""A plugin that writes down what is on an agent's bus, a line of JSON each."""

import json
import os
import re

from aries_cloudagent.core.event_bus import EventBus


async def setup(context):
    bus = context.inject(EventBus)
    # Unbuffered: what was written is there when the agent is killed.
    log = open(os.environ["BUS_LOG"], "a", buffering=1)

    async def listen(_profile, event):
        payload = event.payload
        try:
            json.dumps(payload)
        except TypeError:
            payload = repr(payload)
        log.write(json.dumps({"topic": event.topic, "payload": payload}) + "\n")

    bus.subscribe(re.compile("acapy::.*"), listen)
