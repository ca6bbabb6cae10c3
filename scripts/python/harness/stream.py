"""What a consumer that reads committed data sees in Kafka, from the first record to the last."""

from dataclasses import dataclass

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaError, KafkaException, TopicPartition
from confluent_kafka import TIMESTAMP_CREATE_TIME, TIMESTAMP_LOG_APPEND_TIME

from harness.identity import client_uuid, content_digest

SILENCE_SECONDS = 60

TIMESTAMP_TYPES = {TIMESTAMP_CREATE_TIME: "create", TIMESTAMP_LOG_APPEND_TIME: "log_append"}


@dataclass(slots=True)
class Record:
    """A record without its content: of that only the digest is kept, which fits in memory."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    timestamp_type: str
    digest: bytes
    client_uuid: object
    size: int

    @property
    def place(self):
        return (self.topic, self.partition, self.offset, self.timestamp)

    def __str__(self):
        return f"{self.topic} [{self.partition}] offset {self.offset}, timestamp {self.timestamp}"


def header_pairs(message):
    return [(name.encode(), value) for name, value in message.headers() or []]


def partitions_of(consumer, wanted):
    """All partitions of the topics for which `wanted(name)` holds."""
    topics = consumer.list_topics(timeout=30).topics
    return [
        TopicPartition(name, partition, OFFSET_BEGINNING)
        for name, topic in sorted(topics.items())
        if wanted(name)
        for partition in sorted(topic.partitions)
    ]


def read_stream(bootstrap, wanted):
    """Every committed record of those topics as they are now; nobody must be producing."""
    return map(to_record, read_messages(bootstrap, wanted))


def read_messages(bootstrap, wanted, isolation="read_committed"):
    """The same as the client's own messages."""
    consumer = Consumer(
        {
            "bootstrap.servers": bootstrap,
            # Required, and never used: nothing is subscribed or committed.
            "group.id": "outside-reader",
            "enable.auto.commit": False,
            "isolation.level": isolation,
            "enable.partition.eof": True,
            "queued.max.messages.kbytes": 16384,
        }
    )
    try:
        open_ends = partitions_of(consumer, wanted)
        consumer.assign(open_ends)
        left = {(each.topic, each.partition) for each in open_ends}
        while left:
            message = consumer.poll(SILENCE_SECONDS)
            if message is None:
                raise RuntimeError(f"Kafka gave nothing for {SILENCE_SECONDS} s; not at the end: {sorted(left)}")
            if message.error() is None:
                yield message
            elif message.error().code() == KafkaError._PARTITION_EOF:
                left.discard((message.topic(), message.partition()))
            elif message.error().fatal():
                raise KafkaException(message.error())
    finally:
        consumer.close()


def to_record(message):
    headers = header_pairs(message)
    kind, timestamp = message.timestamp()
    return Record(
        message.topic(),
        message.partition(),
        message.offset(),
        timestamp,
        TIMESTAMP_TYPES.get(kind, "none"),
        content_digest(message.key(), message.value(), headers),
        client_uuid(headers),
        len(message.value() or b"") + len(message.key() or b""),
    )
