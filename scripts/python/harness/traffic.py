"""What is produced while everything else goes wrong."""

import random
import threading
from collections import deque

from confluent_kafka import Producer

from harness import topics
from harness.content import Content
from harness.identity import content_digest, derived_uuid

TICKS_A_SECOND = 20
REMEMBERED = 500

# What is sent, and how often.
KINDS = {
    "ordinary": 60,
    "compacted": 8,
    "fresh_uuid": 14,
    "retry_at_once": 4,
    "retry_later": 5,
    "contested": 4,
    "contested_later": 2,
    "stolen_derived_uuid": 1,
    "derived_uuid_in_advance": 1,
    "vetoed": 1,
}
# A large record in so many.
LARGE_IN = 400


class Traffic(threading.Thread):
    """Sends about `rate` records a second until it is stopped. What it sends follows from the seed."""

    def __init__(self, bootstrap, seed, rate, log):
        super().__init__(name="traffic", daemon=True)
        self._rng = random.Random(f"{seed} traffic")
        self._content = Content(self._rng)
        self._rate = rate
        self._log = log
        self._stopped = threading.Event()
        self._producer = Producer(
            {
                "bootstrap.servers": bootstrap,
                "enable.idempotence": True,
                "linger.ms": 5,
                "delivery.timeout.ms": 300_000,
                "message.max.bytes": 4_000_000,
                "queue.buffering.max.kbytes": 262_144,
                "log_level": 2,
            }
        )
        self._ordinary = [topics.PLAIN, topics.PLAIN, topics.WIDE, topics.WIDE, topics.LOG_APPEND]
        # With client UUIDs, as (topic, key, value, headers): some are sent once more.
        self._sent = deque(maxlen=REMEMBERED)
        self._delivered = deque(maxlen=REMEMBERED)
        self._next_forged = 0
        self.compacted = set()
        self.counts = dict.fromkeys(KINDS, 0)
        self.acknowledged = 0
        self.failed = 0
        self.error = None

    def add_topic(self, topic):
        self._ordinary.append(topic)

    def stop(self):
        """Returns when everything that was sent is acknowledged."""
        self._stopped.set()
        self.join()
        left = self._producer.flush(300)
        if left:
            self._log(f"traffic: {left} records were never acknowledged")

    def run(self):
        kinds, weights = list(KINDS), list(KINDS.values())
        try:
            while not self._stopped.wait(1 / TICKS_A_SECOND):
                for kind in self._rng.choices(kinds, weights, k=max(1, self._rate // TICKS_A_SECOND)):
                    getattr(self, f"send_{kind}")()
                    self.counts[kind] += 1
                    if self._rng.randrange(LARGE_IN) == 0:
                        self._send(topics.LARGE, self._content.large_value(), self._content.headers())
                self._producer.poll(0)
        except Exception as error:  # noqa: BLE001: told where the thread is waited for
            self.error = error

    # --- kinds ---

    def send_ordinary(self):
        topic = self._rng.choice(self._ordinary)
        self._send(topic, self._content.value(), self._content.headers(), self._content.key())

    def send_compacted(self):
        key = b"key-%d" % self._rng.randrange(50)
        value = self._content.value()
        self.compacted.add((topics.COMPACTED, content_digest(key, value, [])))
        self._send(topics.COMPACTED, value, [], key)

    def send_fresh_uuid(self):
        self._send_with_uuid(self._rng.choice(self._ordinary + topics.CONTESTED), self._content.uuid())

    def send_retry_at_once(self):
        sent = self._send_with_uuid(self._rng.choice(topics.CONTESTED), self._content.uuid())
        for _ in range(self._rng.randint(1, 3)):
            self._resend(sent)

    def send_retry_later(self):
        if self._sent:
            self._resend(self._rng.choice(self._sent))

    def send_contested(self):
        """One UUID, at the same moment, on partitions that different workers read."""
        client = self._content.uuid()
        for _ in range(self._rng.randint(2, 4)):
            self._send_with_uuid(self._rng.choice(topics.CONTESTED + [topics.WIDE]), client)

    def send_contested_later(self):
        if self._sent:
            _, _, _, headers = self._rng.choice(self._sent)
            client = [value for name, value in headers if name == "_id"]
            self._send(self._rng.choice(topics.CONTESTED), self._content.value(), [("_id", each) for each in client])

    def send_stolen_derived_uuid(self):
        if self._delivered:
            self._send_with_uuid(self._rng.choice(topics.CONTESTED), self._rng.choice(self._delivered))

    def send_derived_uuid_in_advance(self):
        """Two records; the first takes the UUID that the second would derive."""
        value, timestamp = self._content.value(), self._content.timestamp()
        digest = content_digest(None, value, [])
        coming = derived_uuid(topics.FORGED, 0, self._next_forged + 1, timestamp, digest)
        self._send(topics.FORGED, self._content.value(), [("_id", coming.bytes)])
        self._send(topics.FORGED, value, [], None, timestamp)

    def send_vetoed(self):
        self._send(topics.VETOED, self._content.value(), [])

    # --- sending ---

    def _send_with_uuid(self, topic, client):
        sent = (topic, self._content.key(), self._content.value(), self._content.with_uuid(client))
        self._sent.append(sent)
        self._resend(sent)
        return sent

    def _resend(self, sent):
        topic, key, value, headers = sent
        self._send(topic, value, headers, key)

    def _send(self, topic, value, headers, key=None, timestamp=None):
        partition = self._rng.randrange(topics.PARTITIONS[topic])
        while True:
            try:
                return self._producer.produce(
                    topic,
                    value=value,
                    key=key,
                    partition=partition,
                    headers=headers,
                    timestamp=timestamp or self._content.timestamp(),
                    on_delivery=self._acknowledge,
                )
            except BufferError:
                # The broker is away: its queue of bytes is full.
                self._producer.poll(0.1)

    def _acknowledge(self, error, message):
        if error is not None:
            self.failed += 1
            return
        self.acknowledged += 1
        if message.topic() == topics.FORGED:
            self._next_forged = message.offset() + 1
        elif message.topic() == topics.PLAIN and message.offset() % 20 == 0:
            headers = [(name.encode(), value) for name, value in message.headers() or []]
            digest = content_digest(message.key(), message.value(), headers)
            _, timestamp = message.timestamp()
            self._delivered.append(
                derived_uuid(message.topic(), message.partition(), message.offset(), timestamp, digest)
            )
