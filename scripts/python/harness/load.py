"""Records for measurements, produced and consumed as fast as the client can."""

import random
import time

from confluent_kafka import Consumer, Producer

from harness.stream import partitions_of

# One after the other to the same partition, so that the client can batch them.
RUN = 100
SETTINGS = {
    "linger.ms": 20,
    "queue.buffering.max.messages": 1_000_000,
    "queue.buffering.max.kbytes": 262_144,
    "message.max.bytes": 60_000_000,
    # A busy broker takes its time until it tells of topics that it has made.
    "topic.metadata.propagation.max.ms": 300_000,
    "log_level": 2,
}


def fill(bootstrap, topics, records, size):
    """`records` of `size` random bytes, spread over all partitions; `topics` maps names to partitions."""
    rng = random.Random(records)
    producer = Producer({"bootstrap.servers": bootstrap, **SETTINGS})
    places = [(topic, partition) for topic, count in topics.items() for partition in range(count)]
    for number in range(records):
        topic, partition = places[number // RUN % len(places)]
        while True:
            try:
                producer.produce(topic, rng.randbytes(size), partition=partition)
                break
            except BufferError:
                producer.poll(0.1)
        producer.poll(0)
    left = producer.flush(300)
    if left:
        raise RuntimeError(f"Kafka did not take {left} of {records} records")


def consume_rate(bootstrap, topic, records):
    """Records a second of a consumer that does nothing with them."""
    consumer = Consumer({"bootstrap.servers": bootstrap, "group.id": "pure-consumer", "enable.auto.commit": False})
    try:
        consumer.assign(partitions_of(consumer, lambda name: name == topic))
        began, seen = time.monotonic(), 0
        while seen < records:
            batch = consumer.consume(10_000, timeout=30)
            if not batch:
                raise RuntimeError(f"Kafka gave {seen} of {records} records")
            seen += sum(message.error() is None for message in batch)
        return seen / (time.monotonic() - began)
    finally:
        consumer.close()
