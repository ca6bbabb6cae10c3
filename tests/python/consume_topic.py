"""Consumes a topic of entities with aet.consumer, and with fastavro:
BOOTSTRAP TOPIC SCHEMA COUNT.

Both must find the entities whose `number` counts from 0 to COUNT, in order and
each once, and the registered schema, attribute for attribute.
"""

import io
import json
import sys
import time

import confluent_kafka
import fastavro
from aet.kafka import KafkaConsumer

bootstrap, topic, schema, count = sys.argv[1:]
registered = json.loads(schema)
count = int(count)
config = {
    "bootstrap.servers": bootstrap,
    "auto.offset.reset": "earliest",
    "isolation.level": "read_committed",
    "enable.auto.commit": False,
}


def by_aether():
    consumer = KafkaConsumer(
        **config,
        **{"group.id": f"aether-{topic}"},
        aether_masking_schema_levels=["public", "private"],
        aether_masking_schema_emit_level="private",
    )
    consumer.subscribe([topic])
    entities, deadline = [], time.time() + 60
    while len(entities) < count and time.time() < deadline:
        for message in consumer.poll_and_deserialize(num_messages=100, timeout=1):
            # The library gives the schema of the first message of a poll, and
            # by topic with those after it.
            assert registered in (message.schema, message.schema.get(topic)), message.schema
            assert message.key is None
            entities.append(message.value)
    consumer.close()
    return entities


def by_fastavro():
    consumer = confluent_kafka.Consumer({**config, "group.id": f"fastavro-{topic}"})
    consumer.subscribe([topic])
    entities, deadline = [], time.time() + 60
    while len(entities) < count and time.time() < deadline:
        for message in consumer.consume(100, 1):
            assert message.error() is None, message.error()
            reader = fastavro.reader(io.BytesIO(message.value()))
            entities.extend(reader)
            assert json.loads(reader.metadata["avro.schema"]) == registered
    consumer.close()
    return entities


for read in (by_aether, by_fastavro):
    numbers = [entity["number"] for entity in read()]
    assert numbers == list(range(count)), (read.__name__, len(numbers), numbers[:10])
print(count, "entities")
