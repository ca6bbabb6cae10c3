"""Publishes one message with the real hop-client, and prints what it sent.

    publish_with_hop.py HOST:PORT TOPIC CA

Takes HOP_USERNAME and HOP_PASSWORD from the environment; talks SASL_SSL with SCRAM-SHA-512.
"""

import json
import os
import sys
import uuid

from hop.auth import SASLMethod, Auth
from hop.io import Stream

broker, topic, ca = sys.argv[1:]
auth = Auth(
    os.environ["HOP_USERNAME"],
    os.environ["HOP_PASSWORD"],
    host=broker,
    method=SASLMethod.SCRAM_SHA_512,
    ssl_ca_location=ca,
)
with Stream(auth=auth).open(f"kafka://{broker}/{topic}", "w") as stream:
    value, headers = stream.pack({"event": "S230518h", "grüße": [1, None]}, {"title": "A title"}, auth=auth)
    stream.write_raw(value, headers)

chosen = next(value for name, value in headers if name == "_id")
as_bytes = [(name, value.encode() if isinstance(value, str) else value) for name, value in headers]
print(
    json.dumps(
        {
            "uuid": str(uuid.UUID(bytes=chosen)),
            "value": value.hex(),
            "headers": [(name, data.hex()) for name, data in as_bytes],
        }
    )
)
