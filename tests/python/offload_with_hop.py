"""Sends a message too large for Kafka with the real hop-client, and receives it.

    offload_with_hop.py HOST:PORT TOPIC CA URL

URL is the archive API, which hop-client finds through the topic `sys.metadata`. Takes HOP_USERNAME and
HOP_PASSWORD from the environment; talks SASL_SSL with SCRAM-SHA-512 to Kafka, and SCRAM-SHA-512 to the archive.
Prints the UUID of the message, once it has come back equal.
"""

import json
import os
import sys
import uuid

from confluent_kafka import Producer
from confluent_kafka.admin import AdminClient, NewTopic
from hop.auth import Auth, SASLMethod
from hop.io import StartPosition, Stream
from hop.models import Blob

broker, topic, ca, url = sys.argv[1:]
username, password = os.environ["HOP_USERNAME"], os.environ["HOP_PASSWORD"]
kafka = {
    "bootstrap.servers": broker,
    "security.protocol": "SASL_SSL",
    "sasl.mechanism": "SCRAM-SHA-512",
    "sasl.username": username,
    "sasl.password": password,
    "ssl.ca.location": ca,
}

# The last word on this topic counts.
admin = AdminClient(kafka)
for future in admin.create_topics([NewTopic("sys.metadata", 1, 1)]).values():
    try:
        future.result()
    except Exception as error:
        if "TOPIC_ALREADY_EXISTS" not in str(error):
            raise
producer = Producer(kafka)
producer.produce("sys.metadata", json.dumps({"LargeMessageUploadEndpoint": url}).encode())
producer.flush()

auth = Auth(username, password, host=broker, method=SASLMethod.SCRAM_SHA_512, ssl_ca_location=ca)
sent = os.urandom(5_000_000)
stream = Stream(auth=auth)
failures = []
with stream.open(f"kafka://{broker}/{topic}", "w") as sink:
    sink.write(Blob(content=sent), headers={"title": "large"}, delivery_callback=lambda e, m: e and failures.append(e))
    sink.flush()
assert not failures, failures

with Stream(auth=auth, start_at=StartPosition.EARLIEST, until_eos=True).open(f"kafka://{broker}/{topic}", "r") as source:
    received = list(source.read(metadata=True))
assert len(received) == 1, f"{len(received)} messages"
message, metadata = received[0]
assert message.content == sent, "other bytes came back"
chosen = next(value for name, value in metadata.headers if name == "_id")
print(uuid.UUID(bytes=bytes(chosen)))
