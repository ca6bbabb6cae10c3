"""Course enrolments as confluent-kafka writes and reads them under a schema registry.

registry_events.py write|read BROKER REGISTRY TOPIC COUNT
    write  events of the user Grace, with confluent-kafka's Avro serializer
    read   prints [key, value] of each event, a JSON line each, by its deserializer
registry_events.py read-as BROKER REGISTRY TOPIC COUNT SCHEMA
    the values alone, read with the reader's schema in a file
"""

import json
import sys
import uuid

from confluent_kafka import Consumer, Producer
from confluent_kafka.schema_registry import SchemaRegistryClient
from confluent_kafka.schema_registry.avro import AvroDeserializer, AvroSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

KEY = json.dumps(
    {"type": "record", "name": "CourseEventKey", "fields": [{"name": "course_key", "type": "string"}]}
)
VALUE = json.dumps(
    {
        "type": "record",
        "name": "CourseEnrollmentEventValue",
        "fields": [
            {"name": "course_key", "type": "string"},
            {"name": "is_enroll", "type": "boolean"},
            {"name": "user", "type": "string"},
        ],
    }
)


def write(broker, registry, topic, count):
    as_key, as_value = AvroSerializer(registry, KEY), AvroSerializer(registry, VALUE)
    producer = Producer({"bootstrap.servers": broker})
    for number in range(count):
        course = f"edX+{number}"
        value = {"course_key": course, "is_enroll": number % 2 == 0, "user": "Grace"}
        producer.produce(
            topic,
            key=as_key({"course_key": course}, SerializationContext(topic, MessageField.KEY)),
            value=as_value(value, SerializationContext(topic, MessageField.VALUE)),
        )
    left = producer.flush(60)
    assert left == 0, f"{left} not delivered"


def messages(broker, topic, count):
    consumer = Consumer(
        {"bootstrap.servers": broker, "group.id": uuid.uuid4().hex, "auto.offset.reset": "earliest"}
    )
    consumer.subscribe([topic])
    for _ in range(count):
        message = consumer.poll(60)
        assert message is not None and message.error() is None, message and message.error()
        yield message
    consumer.close()


def read(broker, registry, topic, count):
    from_key = AvroDeserializer(registry)
    from_value = AvroDeserializer(registry)
    for message in messages(broker, topic, count):
        key = from_key(message.key(), SerializationContext(topic, MessageField.KEY))
        value = from_value(message.value(), SerializationContext(topic, MessageField.VALUE))
        print(json.dumps([key, value]))


def read_as(broker, registry, topic, count, schema):
    with open(schema, encoding="utf-8") as file:
        from_value = AvroDeserializer(registry, file.read())
    for message in messages(broker, topic, count):
        print(json.dumps(from_value(message.value(), SerializationContext(topic, MessageField.VALUE))))


def main():
    what, broker, url, topic, count, *more = sys.argv[1:]
    registry = SchemaRegistryClient({"url": url})
    {"write": write, "read": read, "read-as": read_as}[what](broker, registry, topic, int(count), *more)


main()
