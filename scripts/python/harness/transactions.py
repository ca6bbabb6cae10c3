"""A transactional producer: some transactions are committed, some aborted, some end with the broker."""

import random
import threading

from confluent_kafka import KafkaException, Producer

from harness import topics
from harness.content import Content

PATIENCE = 60


class Transactions(threading.Thread):
    """Runs until it is stopped. What it sends follows from the seed."""

    def __init__(self, bootstrap, seed, log):
        super().__init__(name="transactions", daemon=True)
        self._rng = random.Random(f"{seed} transactions")
        self._content = Content(self._rng)
        self._log = log
        self._stopped = threading.Event()
        self._settings = {
            "bootstrap.servers": bootstrap,
            "transactional.id": "torture",
            "transaction.timeout.ms": 60_000,
            "log_level": 2,
        }
        self._producer = None
        self.committed = 0
        self.aborted = 0
        self.broken = 0

    def stop(self):
        """Returns when no transaction is open."""
        self._stopped.set()
        self.join()
        self._begin_anew()

    def run(self):
        while not self._stopped.wait(self._rng.uniform(0, 1)):
            try:
                if self._producer is None:
                    self._begin_anew()
                self._one()
            except (KafkaException, BufferError) as error:
                self.broken += 1
                self._log(f"transactions: {error}; the producer begins anew")
                self._producer = None

    def _begin_anew(self):
        """A new producer of the same name ends what the one before left open."""
        while True:
            self._producer = Producer(self._settings)
            try:
                return self._producer.init_transactions(PATIENCE)
            except KafkaException as error:
                if error.args[0].fatal() and not error.args[0].retriable():
                    raise

    def _one(self):
        self._producer.begin_transaction()
        for _ in range(self._rng.randint(1, 40)):
            self._producer.produce(
                topics.TRANSACTIONS,
                value=self._content.value(),
                key=self._content.key(),
                partition=self._rng.randrange(topics.PARTITIONS[topics.TRANSACTIONS]),
                headers=self._content.with_uuid(self._content.uuid()) if self._rng.random() < 0.5 else [],
            )
        self._producer.flush(PATIENCE)
        # Some stay open for a while: nobody may read past them.
        self._stopped.wait(self._rng.choice([0, 0, 0, 3]))
        if self._rng.random() < 0.35:
            self._producer.abort_transaction(PATIENCE)
            self.aborted += 1
        else:
            self._producer.commit_transaction(PATIENCE)
            self.committed += 1
