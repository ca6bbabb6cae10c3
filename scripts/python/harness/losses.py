"""Records that Kafka itself loses or holds back, and batches that are much larger than they look."""

import random
import threading

from confluent_kafka import Producer, TopicPartition
from confluent_kafka.admin import AdminClient

from harness import topics
from harness.content import Content
from harness.identity import content_digest

PATIENCE = 60
# Sent at each retention, and left of them by it.
SENT = 400
LEFT = 100
# Bytes of a record of zeros, which a few kilobytes of zstd stand for.
OVERSIZED = 24_000_000
BEHIND_TRANSACTION = 50


class Losses:
    """What it sends follows from the seed."""

    def __init__(self, bootstrap, seed, log):
        self._bootstrap = bootstrap
        self._rng = random.Random(f"{seed} losses")
        self._content = Content(self._rng)
        self._log = log
        self._lock = threading.Lock()
        self._producer = Producer({"bootstrap.servers": bootstrap, "enable.idempotence": True, "log_level": 2})
        self._large = Producer(
            {
                "bootstrap.servers": bootstrap,
                "compression.type": "zstd",
                "message.max.bytes": 2 * OVERSIZED,
                "queue.buffering.max.kbytes": 262_144,
                "log_level": 2,
            }
        )
        self._admin = AdminClient({"bootstrap.servers": bootstrap})
        # (topic, partition, offset) of everything that Kafka acknowledged and retention may have taken.
        self.acknowledged = set()
        # (topic, digest) of the same.
        self.short_lived = set()
        self.removed = 0
        self.oversized = 0
        self._hanging = None

    def retention(self, pause):
        """Sends, and removes most of it again, while the caller keeps the store away."""
        ends = {}
        for _ in range(SENT):
            partition = self._rng.randrange(topics.PARTITIONS[topics.SHORT_LIVED])
            key, value = self._content.key(), self._content.value()
            self.short_lived.add((topics.SHORT_LIVED, content_digest(key, value, [])))

            def acknowledge(error, message):
                if error is None:
                    with self._lock:
                        self.acknowledged.add((message.topic(), message.partition(), message.offset()))
                    ends[message.partition()] = max(ends.get(message.partition(), 0), message.offset() + 1)

            self._producer.produce(
                topics.SHORT_LIVED, value=value, key=key, partition=partition, on_delivery=acknowledge
            )
        self._producer.flush(PATIENCE)
        before = [TopicPartition(topics.SHORT_LIVED, part, max(0, end - LEFT)) for part, end in ends.items()]
        for partition, removed in self._admin.delete_records(before, request_timeout=PATIENCE).items():
            self._log(f"retention: {partition.topic} [{partition.partition}] begins at {removed.result().low_watermark}")
        self.removed += 1
        pause()

    def send_oversized(self):
        self._large.produce(topics.LARGE, value=bytes(OVERSIZED), partition=0, headers=[])
        if self._large.flush(PATIENCE):
            raise RuntimeError("the oversized batch was not acknowledged")
        self.oversized += 1

    def begin_transaction(self):
        """One that stays open, with records behind it that nobody may read yet."""
        self._hanging = self._transactional()
        self._hanging.begin_transaction()
        self._hanging.produce(topics.HANGING, value=b"never committed", partition=0)
        self._hanging.flush(PATIENCE)
        for _ in range(BEHIND_TRANSACTION):
            self._producer.produce(topics.HANGING, value=self._content.value(), partition=0)
        self._producer.flush(PATIENCE)

    def end_transaction(self):
        """Another producer of the same name aborts it."""
        self._hanging = self._transactional()

    def delete_group(self, group):
        """Once its last members are gone."""
        for attempt in range(30):
            try:
                return self._admin.delete_consumer_groups([group], request_timeout=PATIENCE)[group].result()
            except Exception as error:  # noqa: BLE001: members that were killed leave with their session
                if attempt == 29:
                    raise
                self._log(f"group {group} cannot be deleted yet: {error}")
                threading.Event().wait(1)

    def _transactional(self):
        producer = Producer(
            {
                "bootstrap.servers": self._bootstrap,
                "transactional.id": "torture-hanging",
                "transaction.timeout.ms": 900_000,
                "log_level": 2,
            }
        )
        producer.init_transactions(PATIENCE)
        return producer
