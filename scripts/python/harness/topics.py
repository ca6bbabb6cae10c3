"""The topics of a torture, and making them."""

import time

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

PLAIN, WIDE = "torture.plain", "torture.wide"
CONTESTED = ["torture.contested-a", "torture.contested-b"]
FORGED = "torture.forged"
TRANSACTIONS = "torture.transactions"
COMPACTED = "torture.compacted"
LOG_APPEND = "torture.log-append"
LARGE = "torture.large"
LATE = "torture.late"
SHORT_LIVED = "torture.short-lived"
HANGING = "torture.hanging"
VETOED = "torture.vetoed"

PARTITIONS = {
    PLAIN: 6,
    WIDE: 12,
    CONTESTED[0]: 3,
    CONTESTED[1]: 2,
    FORGED: 1,
    TRANSACTIONS: 3,
    COMPACTED: 2,
    LOG_APPEND: 2,
    LARGE: 2,
    LATE: 3,
    SHORT_LIVED: 2,
    HANGING: 1,
    VETOED: 1,
}
SETTINGS = {
    # Small segments and an eager cleaner, so that it does compact within minutes; records of the last half
    # minute stay, which is what a killed worker needs to read its own again.
    COMPACTED: {
        "cleanup.policy": "compact",
        "segment.bytes": "1048576",
        "segment.ms": "10000",
        "min.cleanable.dirty.ratio": "0.01",
        "min.compaction.lag.ms": "30000",
        "delete.retention.ms": "1000",
    },
    LOG_APPEND: {"message.timestamp.type": "LogAppendTime"},
    LARGE: {"max.message.bytes": "4194304"},
}


def is_archived(topic):
    return topic in PARTITIONS and topic != VETOED


def create(bootstrap, topics):
    make(bootstrap, {topic: PARTITIONS[topic] for topic in topics}, SETTINGS)


def make(bootstrap, partitions, settings=()):
    """Makes topics with so many partitions each, and waits until the broker has."""
    admin = AdminClient({"bootstrap.servers": bootstrap})
    settings = dict(settings)
    new = [
        NewTopic(topic, num_partitions=count, replication_factor=1, config=settings.get(topic, {}))
        for topic, count in partitions.items()
    ]
    for topic, made in admin.create_topics(new, operation_timeout=60, request_timeout=90).items():
        try:
            made.result()
        except KafkaException as error:
            raise RuntimeError(f"topic {topic} was not made: {error}") from error
    deadline = time.monotonic() + 60
    while missing := partitions.keys() - admin.list_topics(timeout=60).topics.keys():
        if time.monotonic() > deadline:
            raise RuntimeError(f"the broker does not tell of {len(missing)} topics that it has made")
        time.sleep(0.2)
